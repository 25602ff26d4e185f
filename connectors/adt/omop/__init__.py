"""OMOP's Common Data Model 5.4 in PostgreSQL: its tables, its vocabulary, and who writes them."""
