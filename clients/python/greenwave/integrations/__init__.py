"""Helpers for the libraries that trainers use. Each imports its library only when it
is called."""
