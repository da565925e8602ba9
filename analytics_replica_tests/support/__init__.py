"""What tests share: servers, databases, tables drawn as text."""
