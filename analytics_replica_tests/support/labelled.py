"""Columns whose class people agree on, in several languages and styles of naming, with values.

Here: the labels, and values made for each sort of column. Not here: what is made of them
(unit/test_suggest_corpus.py). Labels: a class; `keep` for machinery; `open` for what is harmless
but does not say so, and for what only a person can decide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from analytics_replica.domain.tables import Column, Table, TableName

OIDS: Final = {
    "text": 25,
    "varchar": 1043,
    "bigint": 20,
    "int": 23,
    "numeric": 1700,
    "bool": 16,
    "date": 1082,
    "timestamptz": 1184,
    "uuid": 2950,
    "jsonb": 3802,
    "inet": 869,
    "macaddr": 829,
    "bytea": 17,
    "text[]": 1009,
    "enum": 20001,
}

LABELLED: Final = """
email | text email email; varchar EMAIL_ADDRESS email; text userEmail email; text e_mail email
email | varchar KundenEmail email; text correo_electronico email; text courriel email
email | text mail2 email; text emailaddress email; text contact_email_primary email
email | text[] cc_emails emails; text adres_email email; text txtEmail email; text c4 email
email | text login email; text kontakt email; text work_email email; text ReplyTo email
email | text invoice_mailbox email; text emailAdresse email; text notify_to email
phone | text phone phone; varchar phoneNumber phone; text mobile_no phone
phone | bigint handynummer bare_phone; text Telefonnummer phone; text tel phone
phone | text telefon_privat phone; varchar FAX_NO phone; text numero_telefono phone_es
phone | text telefono phone_es; text whatsapp phone; text msisdn bare_phone
phone | text telephone_portable phone; text telefoonnummer phone; text komorka phone
phone | text c7 phone; bigint c17 bare_phone; text contact_no phone; text home_phone_2 phone
phone | text ruf phone_de; bigint телефон bare_phone; text cellphone phone
phone | text day_time_contact phone; text gsm phone; text landline phone; text mobilnummer phone
name | text first_name first; varchar lastName last; text FULL_NAME full; text customer_name full
name | text Vorname first; text nachname last; text prenom first; text nom_de_famille last
name | text apellidos last; text nombre first; text cognome last; text voornaam first
name | text nazwisko last; text fname first; text lname last; text cust_nm full
name | text emergency_contact_name full; text created_by full; text Ansprechpartner full
name | text Empfänger full; text cardholder full; text next_of_kin full; text shipTo_name full
name | text имя first; text f12 full; text[] guest_names names; text surname last
name | text patronymic first; text middle_initial first; text signatory full
name | text beneficiary full; text Kontaktperson full; text imię first; text second_name last
name | text preferred_name first; text guardian full
username | text username user; varchar login_name user; text nickname user
username | text twitter_handle user; text Benutzername user; text usuario user
username | text screenName user; text skype user; text account_login user; text nick user
username | text github user
birth_date | date date_of_birth birth; date dob birth; text birthdate birth
birth_date | date Geburtsdatum birth; date fecha_nacimiento birth; date date_naissance birth
birth_date | date data_urodzenia birth; int birth_year year; date geb_dat birth; date bday birth
birth_date | date d3 birth; date birthday birth; date data_nascimento birth
birth_date | date geboortedatum birth; date yob birth
free_text | text notes prose; text comment prose; text Bemerkungen prose
free_text | text internal_remarks prose; text observaciones prose; text commentaire prose
free_text | text body prose; text uwagi prose; text delivery_instructions prose
free_text | text cancelReason prose; text search_query prose; text ticket_description prose
free_text | text x9 prose; text last_message prose; text feedback prose; text remark prose
free_text | text additional_info prose; text reviewText prose; text Hinweis prose
free_text | text motif prose; text log_entry prose
ip | inet ip ip; text ip_address ip; text last_login_ip ip; varchar remoteAddr ip; inet peer ip
ip | text clientIp ip; text host4 ip; text adresse_ip ip; text ipaddr ip; text source_address ip
ip | inet origin ip
device | text user_agent agent; macaddr mac mac; text imei imei; text device_id hex
device | text mac_address mac; text idfa uuid; text visitor_id hex; text ua agent
address | text street street; text address_line1 street; text Straße street
address | text strasse_hausnr street; text direccion street; text adresse street
address | text shipping_address street; text calle street; text addr2 street
address | text indirizzo street; text ulica street; text loc1 street; text residence street
address | text home_address street; text address_2 street; text Anschrift street
address | text endereco street
postcode | text postcode postcode; varchar zip_code zip; text PLZ zip; int zip zip
postcode | text code_postal zip; text postalCode postcode; text codigo_postal zip
postcode | text pc2 postcode; text postal zip; text ZipPostal zip; text eircode postcode
city | text city city; text Wohnort city; text ville city; text ciudad city; text birth_place city
city | text ort city; text town city; text woonplaats city; text locality city; text hometown city
city | text gemeinde city; text poblacion city
national_id | text ssn ssn; text national_id pesel; varchar taxId ssn; text steuer_id idnr
national_id | text dni dni; text pesel pesel; text passport_no passport
national_id | text codice_fiscale fiscale; text cpf cpf; bigint personal_number idnr; text bsn bsn
national_id | text c11 pesel; text drivers_license passport; text nationalInsuranceNumber ssn
national_id | text rodne_cislo pesel; text personnummer pesel; text vat_id_person ssn
national_id | text nhs_number bsn; text sozialversicherungsnummer idnr; text tax_code fiscale
card | varchar card_number card; text iban iban; text cc_num card; text accountNumber iban
card | text kontonummer iban; text credit_card card; text IBAN_customer iban; text c12 card
card | text zahlweg iban; text cardNo card; text iban_code iban; text bankkonto iban
card | text pan_number card
secret | text password_hash bcrypt; text passwordDigest bcrypt; text api_key hex
secret | text reset_token hex; text Kennwort bcrypt; text pw bcrypt; text totp_secret hex
secret | text session_key hex; text f8 bcrypt; text fcm_token hex; text contrasena bcrypt
secret | bytea salt none; uuid refresh_token uuid; text blob1 jwt; text pwd_hash bcrypt
secret | text client_secret hex; text auth_token hex; text security_answer word
secret | text recovery_key hex; text webhook_secret hex
private | bool left_handed none; bool likes_meat none; bool on_probation none
private | text gender mf; enum geschlecht mf; text religion word; text diagnosis_code word
private | int age count; numeric salary money; numeric Gehalt money; text marital_status word
private | bytea photo none; numeric latitude money; numeric lng money; bool is_pregnant none
private | text blood_type word; text nationality word; bool smoker none; numeric salario money
private | text ethnicity word; text sexual_orientation word; text religion_id word
private | numeric monthly_income money; text disability word; int household_size count
private | text ethnic_group word; text allergies word; numeric body_weight money
private | text political_party word; bool has_children none
keep | bigint id serial; uuid customer_id uuid; int quantity count; numeric total_amount money
keep | text sku sku; timestamptz created_at moment; timestamptz updatedAt moment
keep | bool is_active none; text currency code; text status code; enum order_state code
keep | date order_date day; int line_no count; text country code; numeric unit_price money
keep | numeric discount_pct money; text language code; text order_type code
keep | bigint address_id serial; text phone_type code; bool email_verified none
keep | text iso_code code; date valid_until day; int retry_count count; bigint version count
keep | text color code; bigint parent_id serial; numeric Gesamtbetrag_betrag money
keep | int anzahl count; text kategorie code; int stock_level count; timestamptz deletedAt moment
keep | text mime_type code; int sort_order count; numeric tax_rate money; numeric preis money
keep | int nb_points count; text payment_method code; date shipped_on day
keep | bigint file_size_bytes serial; int duration_seconds count; text event_kind code
keep | uuid external_uuid uuid; bigint order_id serial; text order_status code
keep | timestamptz last_seen_at moment; numeric shipping_cost money; int page_count count
keep | uuid batch_uuid uuid; bool archived none; text warehouse_code code; date due_date day
keep | text event_type code; int attempts count; numeric vat_amount money
keep | bigint invoice_no serial
open | text foo word; text val1 word; jsonb attributes none; jsonb payload none; text tags word
open | date d1 day; enum mood word; text c1 sku; numeric n4 money; text[] labels none
open | text misc word; text extra_3 sku; text material word; text group_label word
open | text slogan prose; text department word; text model sku; text brand word
open | numeric coefficient money; text source_system code
""".strip()

FIRST: Final = ("Anna", "José", "Müge", "Jean-Luc", "Siân", "Łukasz", "Ivo", "Zoë", "Omar", "Mei")
LAST: Final = ("Müller", "O'Brien", "van der Berg", "Özdemir", "García", "Nowak", "Smith", "Rossi")
STREETS: Final = (
    "Hauptstraße",
    "High Street",
    "Rue Victor Hugo",
    "Calle Mayor",
    "Via Roma",
    "ul. Długa",
)
PROSE: Final = (
    "Kunde bittet um Rückruf am Nachmittag wegen der Lieferung",
    "The parcel was left with the neighbour on the second floor",
    "Le client souhaite annuler sa commande de la semaine dernière",
    "Please call me back, I will be at home after six",
)


@dataclass(frozen=True)
class Labelled:
    """A column, its label, and values of it as PostgreSQL prints them."""

    column: Column
    label: str
    values: tuple[str | None, ...]

    @property
    def table(self) -> Table:
        """A table with this column alone, whose name says nothing."""
        return Table(TableName("public", "records"), (self.column,))


def labelled(rows: int = 200) -> Iterator[Labelled]:
    """All labelled columns, each with so many values; the same at every call."""
    for line in LABELLED.splitlines():
        label, _, columns = line.partition(" | ")
        for written in columns.split("; "):
            kind, name, sort = written.split(" ")
            of = random.Random(name)
            values = tuple(
                None if of.random() < 0.1 else VALUES[sort](of)
                for _ in range(rows if sort != "none" else 0)
            )
            yield Labelled(Column(name, OIDS[kind], -1, kind), label, values)


def _digits(of: random.Random, count: int) -> str:
    return "".join(of.choices("0123456789", k=count))


def _luhn(digits: str) -> str:
    doubled = [int(d) * (2 if at % 2 == 0 else 1) for at, d in enumerate(reversed(digits))]
    return digits + str(-sum(d - 9 if d > 9 else d for d in doubled) % 10)


def _iban(of: random.Random) -> str:
    account = _digits(of, 18)
    return f"DE{98 - int(account + '131400') % 97:02d}{account}"


def _pesel(of: random.Random) -> str:
    born = f"{of.randint(40, 99):02d}{of.randint(1, 12):02d}{of.randint(1, 28):02d}{_digits(of, 4)}"
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    return born + str(-sum(int(d) * w for d, w in zip(born, weights, strict=True)) % 10)


def _cpf(of: random.Random) -> str:
    digits = _digits(of, 9)
    for first in (10, 11):
        rest = sum(int(d) * w for d, w in zip(digits, range(first, 1, -1), strict=True)) * 10 % 11
        digits += str(rest % 10)
    return digits


def _bsn(of: random.Random) -> str:
    while True:
        digits = f"{of.randint(1, 9)}{_digits(of, 8)}"
        weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
        if sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11 == 0:
            return digits


def _dni(of: random.Random) -> str:
    number = int(_digits(of, 8))
    return f"{number:08d}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def _full(of: random.Random) -> str:
    return f"{of.choice(FIRST)} {of.choice(LAST)}"


def _email(of: random.Random) -> str:
    host = of.choice(("example.org", "mail.example.com"))
    return f"{of.choice(('anna', 'j.smith', 'O.Rossi'))}{_digits(of, 4)}@{host}"


VALUES: Final[dict[str, Callable[[random.Random], str]]] = {
    "email": _email,
    "emails": lambda of: "{" + _email(of) + "," + _email(of) + "}",
    "phone": lambda of: f"+49 15{of.randint(10, 99)} {_digits(of, 7)}",
    "phone_de": lambda of: f"0151 {of.randint(1, 9)}{_digits(of, 7)}",
    "phone_es": lambda of: f"+34 6{_digits(of, 8)}",
    "bare_phone": lambda of: f"49151{of.randint(1, 9)}{_digits(of, 7)}",
    "first": lambda of: of.choice(FIRST),
    "last": lambda of: of.choice(LAST),
    "full": _full,
    "names": lambda of: '{"' + _full(of) + '","' + _full(of) + '"}',
    "user": lambda of: f"{of.choice(FIRST).lower()}{_digits(of, 3)}",
    "birth": lambda of: f"{of.randint(1940, 2006)}-{of.randint(1, 12):02d}-{of.randint(1, 28):02d}",
    "year": lambda of: str(of.randint(1940, 2006)),
    "prose": lambda of: of.choice(PROSE),
    "ip": lambda of: ".".join(str(of.randint(1, 254)) for _ in range(4)),
    "agent": lambda of: f"Mozilla/5.0 (X11; Linux x86_64; rv:{of.randint(100, 140)}.0)",
    "mac": lambda of: ":".join(f"{of.randint(0, 255):02x}" for _ in range(6)),
    "imei": lambda of: _luhn(f"35{_digits(of, 12)}"),
    "hex": lambda of: f"{of.getrandbits(160):040x}",
    "uuid": lambda of: f"{of.getrandbits(32):08x}-0000-4000-8000-{of.getrandbits(48):012x}",
    "street": lambda of: f"{of.choice(STREETS)} {of.randint(1, 200)}",
    "postcode": lambda of: f"SW{of.randint(1, 20)} {of.randint(1, 9)}A{of.choice('ABDE')}",
    "zip": lambda of: str(of.randint(10000, 99999)),
    "city": lambda of: of.choice(("Berlin", "Leeds", "Lyon", "Sevilla", "Kraków")),
    "ssn": lambda of: f"{of.randint(101, 650)}-{of.randint(10, 99)}-{of.randint(1000, 9999)}",
    "pesel": _pesel,
    "idnr": lambda of: of.choice(("36574261809", "65929970489", "57549285017", "25768131411")),
    "dni": _dni,
    "bsn": _bsn,
    "cpf": _cpf,
    "passport": lambda of: f"C{of.choice('FGH')}{_digits(of, 7)}",
    "fiscale": lambda of: f"RSSMRA{of.randint(40, 99)}A{of.randint(10, 28)}H501{of.choice('AZ')}",
    "card": lambda of: _luhn(f"4{_digits(of, 14)}"),
    "iban": _iban,
    "bcrypt": lambda of: "$2b$12$" + "".join(of.choices("abcdefgXYZ0123./", k=53)),
    "jwt": lambda of: f"eyJhbGciOiJIUzI1NiJ9.{_digits(of, 20)}.{_digits(of, 20)}",
    "mf": lambda of: of.choice("mfd"),
    "word": lambda of: of.choice(("alpha", "beta", "gamma", "delta")),
    "count": lambda of: str(of.randint(0, 90)),
    "money": lambda of: f"{of.random() * 90:.2f}",
    "serial": lambda of: str(of.randint(1, 10**7)),
    "sku": lambda of: f"SKU-{of.randint(1, 10**5):06d}",
    "code": lambda of: of.choice(("DE", "open", "EUR", "A1")),
    "day": lambda of: f"202{of.randint(0, 5)}-{of.randint(1, 12):02d}-{of.randint(1, 28):02d}",
    "moment": lambda of: f"2025-{of.randint(1, 12):02d}-{of.randint(1, 28):02d} 10:00:00+00",
}
"""Sort → how one value is made."""
