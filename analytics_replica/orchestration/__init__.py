"""The one Dagster graph over everything: thin adapters, schedules, sensors. Logic lives below."""
