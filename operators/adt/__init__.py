"""What happens to patient care's messages: the timeline. Nothing here knows HL7, Kafka or a key."""
