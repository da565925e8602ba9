"""The demo's production: an online shop whose data is split over tables and messy."""
