"""Tests of analytics-replica: each name is the sentence that it proves, and PostgreSQL is real."""
