"""The nouns of analytics-replica: frozen values, no input or output, no driver."""
