"""What patient care says: its outputs. Nothing here knows HL7, or how a timeline is made."""
