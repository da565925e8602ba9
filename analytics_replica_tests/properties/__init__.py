"""Claims about all inputs, judged by something that is not us."""
