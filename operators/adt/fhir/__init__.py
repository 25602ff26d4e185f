"""Patient care as FHIR R4: records of the outputs of `adt` become resources, as plain values."""
