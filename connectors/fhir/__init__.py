"""A FHIR server: transactions, and how they are sent. It knows no system."""
