"""The words in a column's name that say what it holds: a person's data, a secret, machinery.

Here: the signs, in the order in which they decide, and the class that each stands for. Not here:
what a class brings (settings.rules), turning signs into rules (suggest.py). Names are compared in
snake case and ASCII (kinds.words_of); the usual words of seven European languages are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analytics_replica.masking.kinds import Kind
from analytics_replica.settings.rules import ClassName

WORDS: Final = frozenset({Kind.TEXT, Kind.OWN, Kind.OTHER})
VALUES: Final = frozenset({*WORDS, Kind.NUMBER, Kind.UUID, Kind.NETWORK})
NO_KIND: Final[frozenset[Kind]] = frozenset()


@dataclass(frozen=True, slots=True)
class Sign:
    """A pattern of names and what a column of these kinds then holds.

    `ids` are the kinds for which a name that ends in `_id` is still this sign (tax_id is a person's
    number, address_id is machinery).
    """

    pattern: re.Pattern[str]
    kinds: frozenset[Kind]
    holds: ClassName
    reason: str
    ids: frozenset[Kind]

    def fits(self, words: str, kind: Kind) -> bool:
        """True if a column of this name and kind shows this sign."""
        if kind not in self.kinds or not self.pattern.search(words):
            return False
        if _ID.search(words):
            return kind in self.ids
        return not _ASIDE.get(self.holds, _ELSE_ASIDE).search(words)


_ID: Final = re.compile(r"_ids?$")
_ELSE_ASIDE: Final = re.compile(
    r"_(?:type|typ|kind|status|category|format|language|locale|currency|template|verified|count"
    r"|counts|total|amount|quantity|qty|seconds|ms|bytes|size|length|limit|version|enabled)$"
)
"""Endings that make a column one about the thing (phone_type), not the thing itself."""

_ASIDE: Final[Mapping[ClassName, re.Pattern[str]]] = {
    # A type, a status or a category is the private thing itself (blood_type).
    "private": re.compile(r"_(?:bytes|version|enabled|format|limit)$"),
    # The code of a text is a code (reason_code); that of a post or an activation is not.
    "free_text": re.compile(rf"{_ELSE_ASIDE.pattern}|_(?:code|key|ref|no|nr|hash)$"),
}
"""The same for the classes that have endings of their own."""


def _sign(
    holds: ClassName,
    words: str,
    kinds: frozenset[Kind],
    reason: str,
    ids: frozenset[Kind] = NO_KIND,
) -> Sign:
    pattern = re.compile(rf"(?:^|_)(?:{words})_?\d*(?:_|$)")
    return Sign(pattern, kinds, holds, reason, ids)


SIGNS: Final = (
    _sign(
        "secret",
        r"\w*pass(?:word|wd|phrase|wort|code)\w*|pass|pw|pwd|kennwort|contrasena|mot_de_passe"
        r"|motdepasse|senha|haslo|wachtwoord|secrets?|salt|otp|totp|mfa\w*|pin|hash|credentials?"
        r"|cookies?|(?:api|private|encryption|signing|secret|access|license)_?keys?|tokens?"
        r"|(?:recovery|webhook|master|ssh|client|auth|shared)_?(?:keys?|secrets?)|(?:security|secret)_(?:answer|question)"
        r"|\w+tokens?|signature|bearer|jwt|session_key|cvv2?|cvc2?"
        r"|(?:access|activation|verification|security|recovery|backup|invite|reset)_codes?",
        frozenset({*VALUES, Kind.JSON}),
        "a secret",
        WORDS,
    ),
    _sign(
        "private",
        r"gender|sex|geschlecht|genero|sexe|sesso|geslacht|plec|anrede|salutation|religion|faith"
        r"|konfession|ethnic\w*|race|nationalit\w+|staatsangehoe?rigkeit|citizenship|diagnos\w*"
        r"|disab(?:led|ility|ilities)|handicap\w*|health|disease|illness|medical|medication|icd\w*"
        r"|blood\w*|allerg\w+|pregnan\w+|smoker|alcohol\w*|drug_use|hiv\w*|vaccin\w*|veteran"
        r"|convict\w*|criminal\w*|political|party|union_member\w*|sexual\w*|orientation|marital"
        r"|married|familienstand|estado_civil|household\w*|child(?:ren)?|kids|kinder|dependents"
        r"|salary|salaire|salario|stipendio|salaris|pensja|gehalt|lohn|income|einkommen|wages?"
        r"|pension|debt|age|alter|edad|body_\w+|weight_kg|height_cm|bmi|pulse|credit_?(?:score|rating)"
        r"|schufa|caste|tribe|immigra\w*|visa_status",
        frozenset(Kind) - {Kind.MOMENT, Kind.JSON},
        "says something private of a person",
        VALUES,
    ),
    _sign(
        "private",
        r"latitude|longitude|lat|lng|lon|location|geo\w*|gps\w*|coordinates?|photo|foto|avatar"
        r"|picture|portrait|image|fingerprint|biometric\w*",
        frozenset(Kind) - {Kind.MOMENT, Kind.JSON},
        "says something private of a person",
    ),
    _sign(
        "birth_date",
        r"dob|d_o_b|b_?date|birth(?!_?(?:place|city|town|country|name))\w*|born|yob|bday|geburt\w*|geb_?(?:dat\w*|tag)|geboren|geboorte\w*"
        r"|(?:date_(?:de_)?)?naissance|ne_le|nacimiento|nascita|nascimento|urodz\w*|\w+_birth",
        frozenset({Kind.DATE, Kind.MOMENT, Kind.NUMBER, *WORDS}),
        "a date of birth",
    ),
    _sign(
        "email",
        r"\w*e_?mails?\w*|e_mails?(?:_?addr\w*)?|emailid|eml|mail|mail_?addr\w*|\w*mailadres\w*"
        r"|\w*mailbox|reply_?to|(?:notify|send|mail)_?to|correo\w*|courriel|adres_email|epost",
        WORDS,
        "an e-mail address",
        WORDS,
    ),
    _sign(
        "phone",
        r"\w*phones?(?:_?n\w*)?|contact_n(?:o|r|um\w*)|ph_?no|\w*telefon\w*|telefoon\w*|tel|tel_?n\w+|tlf|mobil\w*|mob|gsm|landline|festnetz\w*|(?:day|night)_?time_\w+"
        r"|mob_?no|cell|cellular|handy\w*|fax|fax_?n\w+|faks|msisdn|whatsapp|movil|portable"
        r"|cellulare|telemovel|celular|komorka|rufnummer\w*",
        frozenset({*WORDS, Kind.NUMBER}),
        "a phone number",
        WORDS,
    ),
    _sign(
        "national_id",
        r"ssn|ssn_?\w*|sin_?(?:no|number)|social_security\w*|sozialversicherung\w*|sv_?nr"
        r"|passport\w*|reisepass\w*|passeport\w*|ausweis\w*|tax_?(?:payer_?)?id\w*|steuer\w*"
        r"|steuer_?id|national_?insurance\w*|\w*versicherungsn\w+|personn(?:ummer|r)|rodne_cislo|tin|itin|nif|nie|dni|curp|rfc|cpf|cnp|bsn|pesel|nino|nhs_?\w*|insee|nir"
        r"|numero_secu\w*|codice_fiscale|codicefiscale|aadhaar|medicare_?\w*"
        r"|licen[cs]e_?(?:plate|no|number)|kennzeichen|fue?hrerschein\w*"
        r"|(?:national|tax|fiscal|personal|identity|citizen|driving|driver\w?|id_card)_?"
        r"(?:id|no|nr|number|code|licen[cs]e)\w*",
        VALUES,
        "an official number of a person",
        VALUES,
    ),
    _sign(
        "card",
        r"(?:credit_?|debit_?|bank_?|payment_?)?card(?:_?(?:no|nr|num|number|pan))?|cc_?(?:no|num"
        r"|number)|kreditkarte\w*|karten_?n\w+|tarjeta\w*|pan|iban\w*|account_?n\w+|acct_?n\w+"
        r"|konto_?n\w+|bank_?account\w*|bankkonto|bankverbindung|rib|sort_code|routing_n\w+|bic_?iban",
        frozenset({*WORDS, Kind.NUMBER}),
        "a card or account number",
    ),
    _sign(
        "ip",
        r"\w*_ip|ip|ip_?(?:v[46]_?)?addr\w*|ipv[46]|\w*_ip_addr\w*|(?:remote|source|src|dest|dst|peer|origin)_(?:addr\w*|host)"
        r"|client_addr|adresse_ip|direccion_ip",
        frozenset({*WORDS, Kind.NUMBER, Kind.NETWORK}),
        "a network address of a person's device",
    ),
    _sign(
        "device",
        r"mac|mac_?addr\w*|user_?agent|browser|device_?(?:u?u?id|guid|token|serial|name)|visitor_?id|imei"
        r"|imsi|idfa|gaid|aaid|advertising_id|udid|android_id|client_uuid|fcm\w*|cookie_?id",
        VALUES,
        "what tells a person's device from others",
        VALUES,
    ),
    _sign(
        "username",
        r"username\w*|user_?name|login\w*|log_in|handle|screen_?name|nick\w*|benutzer(?:name)?"
        r"|utilisateur|usuario|utente|gebruiker(?:snaam)?|account_?name|twitter\w*|instagram\w*"
        r"|facebook\w*|linkedin\w*|skype\w*|telegram\w*|github\w*|tiktok\w*|social_?(?:handle|profile)|alias_?name",
        WORDS,
        "a name that a person goes by",
    ),
    _sign(
        "name",
        r"(?:first|last|middle|full|given|family|maiden|display|contact|customer|client|cust|cli"
        r"|patient|employee|emp|member|owner|holder|sender|recipient|receiver|author|billing"
        r"|shipping|ship_?to|bill_?to|legal|person|applicant|guest|driver|student|teacher|manager|second|preferred|previous|former"
        r"|agent|user|doctor|buyer|seller|payer|payee|mother\w?|father\w?|spouse|emergency"
        r"\w*|card_?holder|account_?holder|birth)_?(?:names?|nm)|[flm]_?names?|sur_?name\w*"
        r"|firstname|lastname|fullname|forenames?|names?_(?:first|last|full)|cardholder"
        r"|recipient|addressee|author|attn|contact(?:_person)?|spouse|next_of_kin|guardian|beneficiary|signatory|patronymic|middle_initial|initials"
        r"|(?:created|updated|modified|changed|deleted|approved|signed|assigned|entered)_?by"
        r"|\w*vorname|\w*nachname|familienname|rufname|empfae?nger|ansprechpartner\w*|kontaktperson"
        r"|sachbearbeiter\w*|inhaber|kontoinhaber|prenom\w*|nom|nom_(?:de_)?famille|nom_complet"
        r"|nombres?|apellidos?|cognome|nome|nome_completo|sobrenome|voornaam|achternaam|naam"
        r"|imie|nazwisko|imie_nazwisko|destinataire|destinatario",
        WORDS,
        "a person's name",
    ),
    _sign(
        "address",
        r"addr|addr_?(?:line_?)?\d*|address\w*|\w+_address|adresse|adres|anschrift|\w*street\w*"
        r"|\w*strasse|str|str_?nr|line_?[123]|house_?n\w+|hausnummer|haus_?nr|apartment|apt|suite"
        r"|direccion|domicilio|endereco|indirizzo|rue|calle|via|straat|ulica|huisnummer|numero_rue"
        r"|po_?box|postfach|residence|home",
        frozenset({*WORDS, Kind.NUMBER}),
        "where a person lives",
    ),
    _sign(
        "postcode",
        r"zip\w*|zip_?(?:cd|code)|\w+_zip|post(?:al)?_?(?:code|cd)|plz|postleitzahl|code_?postal"
        r"|codigo_postal|postal|eircode|cp|cap|cep|kod_pocztowy",
        frozenset({*WORDS, Kind.NUMBER}),
        "where a person lives",
    ),
    _sign(
        "city",
        r"city|town|hometown|locality|village|district|suburb|county|municipality|gemeinde|ort|wohnort|ortsteil|stadt|ville"
        r"|commune|ciudad|localidad|poblacion|municipio|comune|citta|cidade|plaats|woonplaats|miasto|birth_?place"
        r"|geburtsort|lieu_naissance",
        WORDS,
        "where a person lives",
    ),
    _sign(
        "free_text",
        r"\w*notes?|\w*comments?|remarks?|body|\w*messages?|msg|text|\w+_text|content|description"
        r"|desc|descr|bio|about|subject|title|summary|feedback|review\w*|hinweis\w*|motif|info|\w+_info|\w*reason|memo|details?"
        r"|instructions?|transcript|answer|question|response|complaint|history|bemerkung\w*"
        r"|notiz\w*|anmerkung\w*|kommentar\w*|beschreibung|nachricht|betreff|verwendungszweck"
        r"|commentaires?|remarques?|observaciones|comentarios?|notas?|note|opis|uwagi|opmerking\w*"
        r"|descripcion|descrizione|mensaje|messaggio|search\w*|query|keywords?|free_?text",
        WORDS,
        "free text: anything may be in it",
    ),
)
"""In order: the first that fits decides."""

_A_PERSONS_NAME: Final = Sign(
    re.compile(r"(?:^|_)names?$"), WORDS, "name", "a person's name", NO_KIND
)


def sign_of(words: str, kind: Kind, table_words: str) -> Sign | None:
    """The sign that a column of this name and kind shows in a table of this name; None if none."""
    for sign in SIGNS:
        if sign.fits(words, kind):
            return sign
    of_people = PEOPLE.search(table_words) is not None
    return _A_PERSONS_NAME if of_people and _A_PERSONS_NAME.fits(words, kind) else None


PEOPLE: Final = re.compile(
    r"(?:^|_)(?:customer|client|user|person|people|contact|employee|member|patient|account|lead"
    r"|profile|passenger|guest|student|teacher|driver|subscriber|applicant|candidate|staff|tenant"
    r"|kunde|mitarbeiter|nutzer|benutzer|personen|patienten|cliente|usuario|empleado|persona"
    r"|utilisateur|employe|utente|dipendent|klant|medewerker|klien|pracowni)"
)
"""Tables in which a column called `name` is a person's."""

MACHINERY: Final = re.compile(
    r"(?:^|_)(?:id|ids|uid|uuid|guid|code|sku|ean|gtin|isbn|status|state|type|typ|kind|class"
    r"|level|tier|currency|waehrung|country|land|lang|language|locale|timezone|time_zone|unit"
    r"|category|kategorie|method|channel|priority|version|revision|color|colour|size|slug|enum"
    r"|flag|mode|phase|stage|carrier|schema|table|event|action|role|format|mime|template"
    r"|verified)$"
    r"|(?:^|_)(?:legacy|natural|business|sort|partition|group|dedup|primary|foreign|external|row"
    r"|object|cache|parent|idempotency)_key$"
)
"""Names of texts that are codes of our own making; a bare key may open something."""

SWITCH: Final = re.compile(
    r"(?:^|_)(?:active|enabled|disabled_at|deleted|archived|hidden|visible|public|internal|locked"
    r"|blocked|verified|confirmed|approved|published|default|primary|main|required|optional|open"
    r"|closed|paid|shipped|delivered|sent|processed|completed|done|failed|success|valid|invalid"
    r"|current|latest|test|demo|draft|final|manual|automatic|auto|opt_in|opt_out|subscribed"
    r"|consent|accepted|read|seen|new|free|taxable|billable|refundable|available|in_stock|featured"
    r"|on_sale|synced|imported|exported|dirty|flag|premium|aktiv|geloescht|gesperrt|bezahlt"
    r"|versendet|actif|activo|attivo)$"
)
"""Names of yes and no that are about a record, not about a person."""

OF_A_BODY: Final = re.compile(r"(?:^|_)(?:weight|gewicht|height|size|length|level|score|rating)$")
"""Names of measures that are a person's where the table is about people."""

MEASURE: Final = re.compile(
    r"(?:^|_)(?:id|ids|uid|no|nr|num|number|seq|sequence|index|idx|pos|position|ordinal|sort|rank"
    r"|order|line|row|level|depth|version|revision|qty|quantity|menge|anzahl|count|counts|counter"
    r"|cnt|total|totals|sum|summe|subtotal|amount|amt|betrag|price|preis|prix|precio|prezzo|cost"
    r"|costs|kosten|fee|fees|tax|vat|mwst|discount|rabatt|rate|ratio|percent|pct|percentage|share"
    r"|factor|weight|gewicht|height|width|length|depth|volume|size|bytes|kb|mb|gb|ms|seconds|secs"
    r"|minutes|hours|days|weeks|months|years|duration|dauer|interval|ttl|timeout|year|jahr|month"
    r"|monat|week|day|hour|minute|quarter|balance|saldo|credit|debit|points|punkte|score|rating"
    r"|stars|votes|likes|views|clicks|visits|hits|attempts|retries|errors|limit|quota|threshold"
    r"|min|max|avg|mean|median|stddev|value|wert|status|state|type|kind|code|flags|mask|priority"
    r"|stock|bestand|capacity|units?|lsn|oid|xmin|epoch|ts|timestamp|offset|partition|shard"
    r"|bucket|temperature|speed|distance|km|meters|miles|revenue|umsatz|profit|margin|budget"
    r"|currency|kind|parent|category|key|quantite|montant|cantidad|importe|quantita|importo"
    r"|ilosc|cena|kwota|aantal|bedrag|prijs)(?:_|$)"
)
"""Names of numbers that count or measure things, or that are identifiers of our own making."""

PROCESS_DATE: Final = re.compile(
    r"(?:^|_)(?:at|on|day|date|from|to|until|since|start|end|due|valid|expiry|expires|created"
    r"|updated|deleted|closed|opened|paid|shipped|delivered|placed|booked|issued|effective"
    r"|order|invoice|posting|value|period|month|week|report|snapshot|partition)(?:_|$)"
)
"""Names of dates that say when something happened, not when somebody was born."""
