CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE dag (
    dag_id VARCHAR(250) NOT NULL,
    bundle VARCHAR(250) NOT NULL,
    file LONGTEXT NOT NULL,
    spec_version VARCHAR(64) NOT NULL,
    code_version VARCHAR(64) NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    stale INTEGER NOT NULL DEFAULT 0,
    unpaused_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_dag PRIMARY KEY (dag_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE dag_version (
    dag_id VARCHAR(250) NOT NULL,
    spec_version VARCHAR(64) NOT NULL,
    spec LONGBLOB NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_dag_version PRIMARY KEY (dag_id, spec_version)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE code_version (
    code_version VARCHAR(64) NOT NULL,
    bundle VARCHAR(250) NOT NULL,
    file LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_code_version PRIMARY KEY (code_version)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE parsed_file (
    bundle VARCHAR(100) NOT NULL,
    file VARCHAR(500) NOT NULL,
    code_version VARCHAR(64),
    inputs LONGTEXT NOT NULL,
    dags LONGTEXT NOT NULL,
    min_interval_us BIGINT,
    duration_us BIGINT NOT NULL DEFAULT 0,
    parsed_at BIGINT NOT NULL,
    CONSTRAINT pk_parsed_file PRIMARY KEY (bundle, file)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE import_error (
    id BIGINT NOT NULL AUTO_INCREMENT,
    bundle VARCHAR(100) NOT NULL,
    file VARCHAR(500) NOT NULL,
    severity VARCHAR(32) NOT NULL,
    message LONGTEXT NOT NULL,
    output LONGTEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_import_error PRIMARY KEY (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_import_error_file ON import_error (bundle, file);
CREATE TABLE run (
    id BIGINT NOT NULL AUTO_INCREMENT,
    dag_id VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    run_type VARCHAR(32) NOT NULL,
    state VARCHAR(32) NOT NULL,
    logical_date BIGINT NOT NULL,
    interval_start BIGINT NOT NULL,
    interval_end BIGINT NOT NULL,
    run_after BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    start_date BIGINT,
    end_date BIGINT,
    spec_version VARCHAR(64) NOT NULL,
    code_version VARCHAR(64) NOT NULL,
    bundle VARCHAR(250) NOT NULL,
    file LONGTEXT NOT NULL,
    generation BIGINT NOT NULL DEFAULT 0,
    owner VARCHAR(250),
    owner_until BIGINT,
    conf LONGTEXT NOT NULL,
    note LONGTEXT,
    triggered_by VARCHAR(250) NOT NULL,
    backfill_id BIGINT,
    ending VARCHAR(32),
    ending_reason LONGTEXT,
    callbacks VARCHAR(32) NOT NULL DEFAULT '',
    CONSTRAINT pk_run PRIMARY KEY (id),
    CONSTRAINT uq_run_dag_id_logical_date UNIQUE (dag_id, logical_date),
    CONSTRAINT uq_run_dag_id_run_id UNIQUE (dag_id, run_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_run_open ON run (state, run_after, id);
CREATE INDEX ix_run_scheduled ON run (run_type, dag_id, logical_date);
CREATE TABLE run_transition (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    run BIGINT NOT NULL,
    from_state VARCHAR(32) NOT NULL,
    to_state VARCHAR(32) NOT NULL,
    actor VARCHAR(32) NOT NULL,
    who VARCHAR(250) NOT NULL DEFAULT '',
    op_id VARCHAR(100) NOT NULL,
    reason LONGTEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_run_transition PRIMARY KEY (seq),
    CONSTRAINT fk_run_transition_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT uq_run_transition_op_id UNIQUE (op_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_run_transition_run ON run_transition (run, seq);
CREATE TABLE ti (
    id BIGINT NOT NULL AUTO_INCREMENT,
    run BIGINT NOT NULL,
    task_id VARCHAR(250) NOT NULL,
    map_index BIGINT NOT NULL DEFAULT (-1),
    state VARCHAR(32) NOT NULL DEFAULT 'none',
    try_number BIGINT NOT NULL DEFAULT 0,
    max_tries BIGINT NOT NULL DEFAULT 0,
    retries BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL DEFAULT 0,
    ticket VARCHAR(64),
    lease_id VARCHAR(64),
    pool VARCHAR(250) NOT NULL,
    pool_slots BIGINT NOT NULL DEFAULT 1,
    queue VARCHAR(250) NOT NULL,
    executor VARCHAR(250),
    code_version VARCHAR(64) NOT NULL,
    queued_at BIGINT,
    start_date BIGINT,
    end_date BIGINT,
    duration_us BIGINT,
    not_before BIGINT,
    result_length BIGINT,
    skip_targets LONGTEXT,
    reason LONGTEXT,
    map_label LONGTEXT,
    continues INTEGER NOT NULL DEFAULT 0,
    first_poke BIGINT,
    clears BIGINT NOT NULL DEFAULT 0,
    stop_kind VARCHAR(32),
    stop_who VARCHAR(250),
    callbacks VARCHAR(64) NOT NULL DEFAULT '',
    is_leaf INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT pk_ti PRIMARY KEY (id),
    CONSTRAINT fk_ti_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT uq_ti_run_task_id_map_index UNIQUE (run, task_id, map_index)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_ti_deferred ON ti (state, pool, pool_slots);
CREATE INDEX ix_ti_occupying ON ti (state, pool, run, task_id, pool_slots);
CREATE INDEX ix_ti_queued ON ti (state, queued_at, id);
CREATE TABLE attempt (
    lease_id VARCHAR(64) NOT NULL,
    ti_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    try_number BIGINT NOT NULL DEFAULT 0,
    supervisor VARCHAR(250) NOT NULL,
    hostname VARCHAR(250) NOT NULL,
    pid BIGINT NOT NULL DEFAULT 0,
    lease_until BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    duration_us BIGINT,
    outcome VARCHAR(32),
    reason LONGTEXT,
    log_size BIGINT NOT NULL DEFAULT 0,
    rendered LONGTEXT,
    CONSTRAINT pk_attempt PRIMARY KEY (lease_id),
    CONSTRAINT fk_attempt_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE,
    CONSTRAINT uq_attempt_ti_id_epoch UNIQUE (ti_id, epoch)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_attempt_open ON attempt (ended_at, lease_until, supervisor, lease_id);
ALTER TABLE attempt ADD COLUMN in_uq_attempt_open INTEGER GENERATED ALWAYS AS (CASE WHEN ended_at IS NULL THEN 1 END) STORED, ADD UNIQUE INDEX uq_attempt_open (ti_id, in_uq_attempt_open);
CREATE TABLE transition (
    seq BIGINT NOT NULL AUTO_INCREMENT,
    ti_id BIGINT NOT NULL,
    from_state VARCHAR(32) NOT NULL,
    to_state VARCHAR(32) NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    actor VARCHAR(32) NOT NULL,
    who VARCHAR(250) NOT NULL DEFAULT '',
    op_id VARCHAR(100) NOT NULL,
    reason LONGTEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_transition PRIMARY KEY (seq),
    CONSTRAINT fk_transition_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE,
    CONSTRAINT uq_transition_op_id UNIQUE (op_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_transition_ti ON transition (ti_id, seq);
CREATE TABLE `signal` (
    id BIGINT NOT NULL AUTO_INCREMENT,
    kind VARCHAR(32) NOT NULL,
    dag_id VARCHAR(250) NOT NULL DEFAULT '',
    run BIGINT NOT NULL DEFAULT 0,
    task BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT pk_signal PRIMARY KEY (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE outbox (
    id BIGINT NOT NULL AUTO_INCREMENT,
    consumer VARCHAR(250) NOT NULL DEFAULT '',
    event VARCHAR(32) NOT NULL,
    run BIGINT,
    ti_id BIGINT,
    try_number BIGINT NOT NULL DEFAULT 0,
    op_id VARCHAR(100) NOT NULL,
    reason LONGTEXT NOT NULL,
    detail LONGTEXT,
    created_at BIGINT NOT NULL,
    claimed_by VARCHAR(250),
    claimed_until BIGINT,
    delivered_at BIGINT,
    failures BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT fk_outbox_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT fk_outbox_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE,
    CONSTRAINT uq_outbox_consumer_op_id UNIQUE (consumer, op_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_outbox_pending ON outbox (delivered_at, consumer, id);
CREATE TABLE observer (
    name VARCHAR(250) NOT NULL,
    hooks LONGTEXT NOT NULL,
    CONSTRAINT pk_observer PRIMARY KEY (name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE trigger_wait (
    ti_id BIGINT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    live INTEGER NOT NULL DEFAULT 1,
    classpath LONGTEXT NOT NULL,
    kwargs LONGBLOB NOT NULL,
    method LONGTEXT NOT NULL,
    resume_kwargs LONGBLOB NOT NULL,
    event LONGBLOB,
    timeout_at BIGINT,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_trigger_wait PRIMARY KEY (ti_id),
    CONSTRAINT fk_trigger_wait_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE xcom (
    ti_id BIGINT NOT NULL,
    name VARCHAR(250) NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    codec VARCHAR(32) NOT NULL,
    data LONGBLOB NOT NULL,
    artifact VARCHAR(64),
    size BIGINT NOT NULL DEFAULT 0,
    length BIGINT,
    preview LONGTEXT NOT NULL,
    CONSTRAINT pk_xcom PRIMARY KEY (ti_id, name),
    CONSTRAINT fk_xcom_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_xcom_artifact ON xcom (artifact);
CREATE TABLE asset (
    id BIGINT NOT NULL AUTO_INCREMENT,
    uri VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_asset PRIMARY KEY (id),
    CONSTRAINT uq_asset_uri UNIQUE (uri)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE asset_event (
    id BIGINT NOT NULL AUTO_INCREMENT,
    asset BIGINT NOT NULL,
    extra LONGTEXT NOT NULL,
    alias VARCHAR(250),
    run BIGINT,
    ti_id BIGINT,
    source_dag_id VARCHAR(250),
    source_run_id VARCHAR(250),
    source_task_id VARCHAR(250),
    source_map_index BIGINT,
    at BIGINT NOT NULL,
    CONSTRAINT pk_asset_event PRIMARY KEY (id),
    CONSTRAINT fk_asset_event_asset FOREIGN KEY(asset) REFERENCES asset (id) ON DELETE CASCADE
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE INDEX ix_asset_event_asset ON asset_event (asset, id);
CREATE TABLE pool (
    name VARCHAR(250) NOT NULL,
    slots BIGINT NOT NULL DEFAULT 128,
    description LONGTEXT NOT NULL,
    include_deferred INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT pk_pool PRIMARY KEY (name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE connection (
    conn_id VARCHAR(250) NOT NULL,
    conn_type VARCHAR(250) NOT NULL,
    description LONGTEXT NOT NULL,
    secret LONGBLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_connection PRIMARY KEY (conn_id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE variable (
    name VARCHAR(250) NOT NULL,
    description LONGTEXT NOT NULL,
    secret LONGBLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_variable PRIMARY KEY (name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE backfill (
    id BIGINT NOT NULL AUTO_INCREMENT,
    dag_id VARCHAR(250) NOT NULL,
    from_date BIGINT NOT NULL,
    to_date BIGINT NOT NULL,
    max_active_runs BIGINT NOT NULL DEFAULT 16,
    reprocess VARCHAR(32) NOT NULL DEFAULT 'none',
    backwards INTEGER NOT NULL DEFAULT 0,
    task_regex LONGTEXT,
    conf LONGTEXT NOT NULL,
    created_by VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    cancelled_at BIGINT,
    completed_at BIGINT,
    CONSTRAINT pk_backfill PRIMARY KEY (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE job (
    id BIGINT NOT NULL AUTO_INCREMENT,
    kind VARCHAR(32) NOT NULL,
    hostname VARCHAR(250) NOT NULL,
    pid BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT pk_job PRIMARY KEY (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
CREATE TABLE idempotency (
    name VARCHAR(250) NOT NULL,
    command VARCHAR(250) NOT NULL,
    request VARCHAR(64) NOT NULL,
    reply LONGBLOB NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_idempotency PRIMARY KEY (name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 /*M! COLLATE=utf8mb4_nopad_bin */ /*!80017 COLLATE=utf8mb4_0900_bin */;
INSERT INTO pool (name, slots, description, include_deferred) VALUES ('default_pool', 128, 'Every task that names no other pool', 0);
INSERT INTO alembic_version (version_num) VALUES ('0001');
