"""A dbt base layer for a first replica.yaml: one source and one view for each staged table.

Here: the files' contents. Not here: writing them (command.py), what gold should say (people do).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from string import Template
from typing import Final

from analytics_replica.cli.init.names import distinct, in_dbt, is_plain, sentence, snake
from analytics_replica.cli.init.policy_file import Draft
from analytics_replica.domain.tables import TableName

FIXED: Final[Mapping[str, str]] = {
    "dbt_project.yml": "dbt_project.yml.tmpl",
    "profiles.yml": "profiles.yml.tmpl",
    "macros/generate_schema_name.sql": "generate_schema_name.sql.tmpl",
    "models/groups.yml": "groups.yml.tmpl",
    "models/gold/overview/_overview__models.yml": "overview.yml.tmpl",
}
"""Files that are the same for every database."""


def gold_project(of: Draft) -> dict[str, str]:
    """The project's files by their path in it."""
    files = {path: template(name) for path, name in FIXED.items()}
    folders = _folders(of)
    models = _model_names(of, folders)
    for schema, folder in folders.items():
        tables = [table.name for table in of.captured if table.name.schema == schema]
        base = f"models/base/{folder}"
        files[f"{base}/_{folder}__sources.yml"] = _sources(of, schema, tables)
        files[f"{base}/_{folder}__models.yml"] = _models(of, tables, models)
        for table in tables:
            files[f"{base}/{models[table]}.sql"] = _base_view(of, table)
    files["models/gold/overview/rpt_tables.sql"] = "".join(_overview(of, models))
    return files


def template(name: str, **values: str) -> str:
    """A fixed text of this package, with its `$names` replaced."""
    found = resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")
    return Template(found).substitute(values) if values else found


def _folders(of: Draft) -> dict[str, str]:
    schemas = dict.fromkeys(table.name.schema for table in of.captured)
    return distinct({schema: snake(schema, "schema").strip("_") for schema in schemas}, longest=20)


def _model_names(of: Draft, folders: Mapping[str, str]) -> dict[TableName, str]:
    return distinct(
        {
            name: f"base_{folders[name.schema]}__{staged}"
            for name, staged in of.staging_names.items()
        }
    )


def _sources(of: Draft, schema: str, tables: list[TableName]) -> str:
    lines = [
        f"# Tables of production's schema {sentence([schema])}, masked and current.\n",
        "# The source is called `staging` so that Dagster sees the asset staging/<table>.\n",
        "sources:\n",
        "  - name: staging\n",
        "    schema: \"{{ env_var('REPLICA_STAGING_SCHEMA', 'staging') }}\"\n",
        "    tables:\n",
    ]
    for table in tables:
        lines.append(f"      - name: {json.dumps(of.staging_names[table])}\n")
        about = sentence([f"{table.schema}.{table.name}"])
        lines.append(f"        description: {json.dumps(f'{about} of production, masked.')}\n")
    return "".join(lines)


def _models(of: Draft, tables: list[TableName], models: Mapping[TableName, str]) -> str:
    lines = ["# Base models rename, nothing else: no joins, no filters, no rules.\nmodels:\n"]
    for table in tables:
        key = sentence(column.name for column in of.tables[table].key) or "row"
        lines.append(f"  - name: {models[table]}\n")
        description = f"One row per {key} of {of.staging_names[table]}."
        lines.append(f"    description: {json.dumps(description)}\n")
    return "".join(lines)


def _base_view(of: Draft, table: TableName) -> str:
    kept = [name for name, found in of.suggestions[table].items() if not found.drops]
    renamed = distinct({name: snake(name, "field") for name in kept})
    columns = [
        in_dbt(name)
        if is_plain(name) and renamed[name] == name
        else f"{in_dbt(name)} as {renamed[name]}"
        for name in kept
    ]
    source = json.dumps(of.staging_names[table]).replace('"', "'")
    listed = ",\n".join(f"    {column}" for column in columns)
    return f"select\n{listed}\nfrom {{{{ source('staging', {source}) }}}}\n"


def _overview(of: Draft, models: Mapping[TableName, str]) -> Iterator[str]:
    yield "-- an example that works for every database; see _overview__models.yml\n"
    for number, (table, model) in enumerate(models.items()):
        if number:
            yield "union all\n"
        yield (
            f"select cast('{of.staging_names[table]}' as text) as table_name, "
            f"count(*) as row_count from {{{{ ref('{model}') }}}}\n"
        )
