"""The demo: real servers, a shop worth replicating, its traffic, and the search for leaks."""
