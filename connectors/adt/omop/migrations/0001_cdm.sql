-- The tables of OMOP's Common Data Model 5.4 that patient care fills, with its names, types, NOT
-- NULLs and keys. Ids of rows are bigint, where the CDM has integer: they are 63 bits of a hash.
-- provider and location are not here, and neither are the keys that name them.

CREATE TABLE concept (
    concept_id integer PRIMARY KEY,
    concept_name varchar(255) NOT NULL,
    domain_id varchar(20) NOT NULL,
    vocabulary_id varchar(20) NOT NULL,
    concept_class_id varchar(20) NOT NULL,
    standard_concept varchar(1),
    concept_code varchar(50) NOT NULL,
    valid_start_date date NOT NULL,
    valid_end_date date NOT NULL,
    invalid_reason varchar(1)
);

CREATE TABLE care_site (
    care_site_id bigint PRIMARY KEY,
    care_site_name varchar(255),
    place_of_service_concept_id integer REFERENCES concept,
    location_id bigint,
    care_site_source_value varchar(50),
    place_of_service_source_value varchar(50)
);

CREATE TABLE person (
    person_id bigint PRIMARY KEY,
    gender_concept_id integer NOT NULL REFERENCES concept,
    year_of_birth integer NOT NULL,
    month_of_birth integer,
    day_of_birth integer,
    birth_datetime timestamp,
    race_concept_id integer NOT NULL REFERENCES concept,
    ethnicity_concept_id integer NOT NULL REFERENCES concept,
    location_id bigint,
    provider_id bigint,
    care_site_id bigint REFERENCES care_site,
    person_source_value varchar(50),
    gender_source_value varchar(50),
    gender_source_concept_id integer REFERENCES concept,
    race_source_value varchar(50),
    race_source_concept_id integer REFERENCES concept,
    ethnicity_source_value varchar(50),
    ethnicity_source_concept_id integer REFERENCES concept
);

CREATE TABLE observation_period (
    observation_period_id bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    observation_period_start_date date NOT NULL,
    observation_period_end_date date NOT NULL,
    period_type_concept_id integer NOT NULL REFERENCES concept
);

CREATE TABLE visit_occurrence (
    visit_occurrence_id bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    visit_concept_id integer NOT NULL REFERENCES concept,
    visit_start_date date NOT NULL,
    visit_start_datetime timestamp,
    visit_end_date date NOT NULL,
    visit_end_datetime timestamp,
    visit_type_concept_id integer NOT NULL REFERENCES concept,
    provider_id bigint,
    care_site_id bigint REFERENCES care_site,
    visit_source_value varchar(50),
    visit_source_concept_id integer REFERENCES concept,
    admitted_from_concept_id integer REFERENCES concept,
    admitted_from_source_value varchar(50),
    discharged_to_concept_id integer REFERENCES concept,
    discharged_to_source_value varchar(50),
    preceding_visit_occurrence_id bigint REFERENCES visit_occurrence
);

CREATE TABLE visit_detail (
    visit_detail_id bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    visit_detail_concept_id integer NOT NULL REFERENCES concept,
    visit_detail_start_date date NOT NULL,
    visit_detail_start_datetime timestamp,
    visit_detail_end_date date NOT NULL,
    visit_detail_end_datetime timestamp,
    visit_detail_type_concept_id integer NOT NULL REFERENCES concept,
    provider_id bigint,
    care_site_id bigint REFERENCES care_site,
    visit_detail_source_value varchar(50),
    visit_detail_source_concept_id integer REFERENCES concept,
    admitted_from_concept_id integer REFERENCES concept,
    admitted_from_source_value varchar(50),
    discharged_to_source_value varchar(50),
    discharged_to_concept_id integer REFERENCES concept,
    preceding_visit_detail_id bigint REFERENCES visit_detail,
    parent_visit_detail_id bigint REFERENCES visit_detail,
    visit_occurrence_id bigint NOT NULL REFERENCES visit_occurrence
);

CREATE TABLE condition_occurrence (
    condition_occurrence_id bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    condition_concept_id integer NOT NULL REFERENCES concept,
    condition_start_date date NOT NULL,
    condition_start_datetime timestamp,
    condition_end_date date,
    condition_end_datetime timestamp,
    condition_type_concept_id integer NOT NULL REFERENCES concept,
    condition_status_concept_id integer REFERENCES concept,
    stop_reason varchar(20),
    provider_id bigint,
    visit_occurrence_id bigint REFERENCES visit_occurrence,
    visit_detail_id bigint REFERENCES visit_detail,
    condition_source_value varchar(50),
    condition_source_concept_id integer REFERENCES concept,
    condition_status_source_value varchar(50)
);

CREATE TABLE measurement (
    measurement_id bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    measurement_concept_id integer NOT NULL REFERENCES concept,
    measurement_date date NOT NULL,
    measurement_datetime timestamp,
    measurement_time varchar(10),
    measurement_type_concept_id integer NOT NULL REFERENCES concept,
    operator_concept_id integer REFERENCES concept,
    value_as_number numeric,
    value_as_concept_id integer REFERENCES concept,
    unit_concept_id integer REFERENCES concept,
    range_low numeric,
    range_high numeric,
    provider_id bigint,
    visit_occurrence_id bigint REFERENCES visit_occurrence,
    visit_detail_id bigint REFERENCES visit_detail,
    measurement_source_value varchar(50),
    measurement_source_concept_id integer REFERENCES concept,
    unit_source_value varchar(50),
    unit_source_concept_id integer REFERENCES concept,
    value_source_value varchar(50),
    measurement_event_id bigint,
    meas_event_field_concept_id integer REFERENCES concept
);

CREATE TABLE observation (
    observation_id bigint PRIMARY KEY,
    person_id bigint NOT NULL REFERENCES person,
    observation_concept_id integer NOT NULL REFERENCES concept,
    observation_date date NOT NULL,
    observation_datetime timestamp,
    observation_type_concept_id integer NOT NULL REFERENCES concept,
    value_as_number numeric,
    value_as_string varchar(60),
    value_as_concept_id integer REFERENCES concept,
    qualifier_concept_id integer REFERENCES concept,
    unit_concept_id integer REFERENCES concept,
    provider_id bigint,
    visit_occurrence_id bigint REFERENCES visit_occurrence,
    visit_detail_id bigint REFERENCES visit_detail,
    observation_source_value varchar(50),
    observation_source_concept_id integer REFERENCES concept,
    unit_source_value varchar(50),
    qualifier_source_value varchar(50),
    value_source_value varchar(50),
    observation_event_id bigint,
    obs_event_field_concept_id integer REFERENCES concept
);

CREATE TABLE death (
    person_id bigint NOT NULL REFERENCES person,
    death_date date NOT NULL,
    death_datetime timestamp,
    death_type_concept_id integer REFERENCES concept,
    cause_concept_id integer REFERENCES concept,
    cause_source_value varchar(50),
    cause_source_concept_id integer REFERENCES concept
);

-- The CDM has these indexes, too. They also find what is to be deleted with a person.
CREATE INDEX ON observation_period (person_id);
CREATE INDEX ON visit_occurrence (person_id);
CREATE INDEX ON visit_occurrence (preceding_visit_occurrence_id);
CREATE INDEX ON visit_detail (person_id);
CREATE INDEX ON visit_detail (visit_occurrence_id);
CREATE INDEX ON visit_detail (preceding_visit_detail_id);
CREATE INDEX ON visit_detail (parent_visit_detail_id);
CREATE INDEX ON condition_occurrence (person_id);
CREATE INDEX ON condition_occurrence (visit_occurrence_id);
CREATE INDEX ON condition_occurrence (visit_detail_id);
CREATE INDEX ON measurement (person_id);
CREATE INDEX ON measurement (visit_occurrence_id);
CREATE INDEX ON measurement (visit_detail_id);
CREATE INDEX ON observation (person_id);
CREATE INDEX ON observation (visit_occurrence_id);
CREATE INDEX ON observation (visit_detail_id);
CREATE INDEX ON death (person_id);

-- What the rows are made of: the last record of each key, NULL where it was taken back. Of one
-- generation, the newest that was seen.
CREATE TABLE headrace_records (
    output text NOT NULL,
    key text NOT NULL,
    counter bigint NOT NULL,
    person_id bigint,
    record json,
    PRIMARY KEY (output, key)
);
CREATE INDEX ON headrace_records (person_id);
CREATE TABLE headrace_generation (generation integer NOT NULL);
