"""The lower layer protocol in which HL7 messages travel over a stream: frames between marks."""
