-- The guard: who a transaction acts for is a setting that is signed, and no service can read what signs it.
--
-- The setting mcp.tenant is '<tenant>.<service>.<hex HMAC-SHA256(key, tenant.service.backend pid)>'. Bound to the backend, a
-- signature is of no use on another connection. Unset or empty, no row is visible; badly signed, statements fail.

-- HMAC (RFC 2104) needs its key only as two padded blocks; kept so, no extension has to be installed.
CREATE TABLE guard.signer (
    service TEXT NOT NULL,
    generation BIGINT NOT NULL,
    role TEXT NOT NULL,
    inner_pad BYTEA NOT NULL,
    outer_pad BYTEA NOT NULL,
    PRIMARY KEY (service, generation)
);

-- Whose rows the statement may touch: policies compare with it, once per statement.
CREATE FUNCTION guard.tenant() RETURNS TEXT
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    setting CONSTANT TEXT := current_setting('mcp.tenant', true);
    part TEXT[];
    said BYTEA;
BEGIN
    -- After a transaction that set it, the setting reads as empty, not as unset.
    IF setting IS NULL OR setting = '' THEN
        RETURN NULL;
    END IF;
    part := string_to_array(setting, '.');
    said := convert_to(concat_ws('.', part[1], part[2], pg_backend_pid()::TEXT), 'UTF8');
    IF cardinality(part) <> 3 OR NOT EXISTS (
        SELECT 1 FROM guard.signer
        WHERE service = part[2]
          AND pg_has_role(session_user, role, 'MEMBER')
          AND encode(sha256(outer_pad || sha256(inner_pad || said)), 'hex') = part[3]
    ) THEN
        RAISE EXCEPTION 'the tenant setting is not signed for this connection' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN part[1];
END
$$;

-- The tenant that the setting names, believed: a column's default, computed for each row. The policy, which every row that is
-- written has to pass, believes nothing.
CREATE FUNCTION guard.named() RETURNS TEXT
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT split_part(current_setting('mcp.tenant', true), '.', 1) $$;

-- Begins to act: for the tenant of a signed setting, or for none; on the tables of one schema. Temporary tables come last,
-- so that none can stand in for a real one. Answers with the tenant's newest data key. A writer (1) holds that
-- key until its transaction ends and a change of keys (2) waits for it, so nothing is sealed under a key that is gone.
CREATE FUNCTION guard.enter(setting TEXT, place TEXT, writes BIGINT) RETURNS BIGINT
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    newest BIGINT;
BEGIN
    PERFORM set_config('mcp.tenant', setting, true),
            set_config('search_path', quote_ident(place) || ', pg_temp', true);
    IF setting = '' THEN
        RETURN 0;
    END IF;
    IF writes = 1 THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('mcp key ' || place || ' ' || split_part(setting, '.', 1), 0));
    ELSIF writes = 2 THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('mcp key ' || place || ' ' || split_part(setting, '.', 1), 0));
    END IF;
    SELECT max(version) INTO newest FROM mcp_tenant_key WHERE purpose = 'data';
    RETURN COALESCE(newest, 0);
END
$$;

-- Admits a service: a role that owns nothing, a schema for tenants' tables and one for those without a tenant.
CREATE FUNCTION guard.admit(service TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role CONSTANT TEXT := 'mcp_' || service;
    place TEXT;
BEGIN
    -- Roles are the whole server's: another database's migration may be making it at this moment.
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    FOREACH place IN ARRAY ARRAY[service, service || '_platform'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = place) THEN
            EXECUTE format('CREATE SCHEMA %I', place);
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', place, role);
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I.mcp_migration (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL)',
            place);
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I.mcp_store_migration (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL)',
            place);
    END LOOP;
    EXECUTE format('GRANT USAGE ON SCHEMA guard TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION guard.tenant(), guard.named(), guard.enter(TEXT, TEXT, BIGINT), guard.erase() TO %I', role);
END
$$;

-- Puts every table of tenants' rows in a schema under the policy, and refuses one that could not be.
CREATE FUNCTION guard.protect(service TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role CONSTANT TEXT := 'mcp_' || service;
    named RECORD;
    tenant SMALLINT;
BEGIN
    FOR named IN
        SELECT c.oid, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = service AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    LOOP
        IF named.relname IN ('mcp_migration', 'mcp_store_migration') THEN
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', service, named.relname, role);
            CONTINUE;
        END IF;
        IF named.relkind NOT IN ('r', 'p') THEN
            RAISE EXCEPTION '%.% is a view or foreign table, which no policy holds', service, named.relname;
        END IF;
        SELECT attnum INTO tenant FROM pg_attribute
        WHERE attrelid = named.oid AND attname = 'tenant' AND attnotnull AND atttypid = 'text'::regtype AND atthasdef;
        IF tenant IS NULL THEN
            RAISE EXCEPTION '%.% lacks its column: tenant TEXT NOT NULL DEFAULT guard.tenant()', service, named.relname;
        END IF;
        IF NOT EXISTS (SELECT 1 FROM pg_index WHERE indrelid = named.oid AND indisprimary) THEN
            RAISE EXCEPTION '%.% has no primary key', service, named.relname;
        END IF;
        IF EXISTS (SELECT 1 FROM pg_index WHERE indrelid = named.oid AND indisunique AND indkey[0] <> tenant) THEN
            RAISE EXCEPTION '%.% has a unique key that does not begin with the tenant', service, named.relname;
        END IF;
        IF EXISTS (
            SELECT 1 FROM pg_constraint k
            WHERE k.conrelid = named.oid AND k.contype = 'f' AND (k.conkey[1] <> tenant OR NOT EXISTS (
                SELECT 1 FROM pg_attribute a
                WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1] AND a.attname = 'tenant'))
        ) THEN
            RAISE EXCEPTION '%.% has a foreign key that does not begin with the tenant', service, named.relname;
        END IF;
        EXECUTE format(
            'ALTER TABLE %I.%I ALTER tenant SET DEFAULT guard.named(), ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
            service, named.relname);
        IF NOT EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = named.oid AND polname = 'mcp_tenant') THEN
            EXECUTE format(
                'CREATE POLICY mcp_tenant ON %I.%I USING (tenant = (SELECT guard.tenant())) WITH CHECK (tenant = (SELECT guard.tenant()))',
                service, named.relname);
        END IF;
        IF EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = named.oid AND polname <> 'mcp_tenant') THEN
            RAISE EXCEPTION '%.% has a policy of its own, which would open it further', service, named.relname;
        END IF;
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', service, named.relname, role);
    END LOOP;

    FOR named IN
        SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = service || '_platform' AND c.relkind IN ('r', 'p')
    LOOP
        IF named.relname IN ('mcp_migration', 'mcp_store_migration') THEN
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', named.nspname, named.relname, role);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', named.nspname, named.relname, role);
        END IF;
    END LOOP;
END
$$;

-- Removes every row that the setting lets be seen, but of the audit log, from all tables of the schema that was entered:
-- what refers to other rows goes before them. Answers how many there were.
CREATE FUNCTION guard.erase() RETURNS BIGINT
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $$
DECLARE
    place CONSTANT TEXT := current_schema();
    left_over TEXT[];
    again TEXT[];
    named TEXT;
    removed BIGINT;
    total BIGINT := 0;
BEGIN
    SELECT array_agg(c.relname) INTO left_over FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = place AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND c.relforcerowsecurity
      AND c.relname NOT LIKE 'mcp\_audit%';
    WHILE cardinality(left_over) > 0 LOOP
        again := ARRAY[]::TEXT[];
        FOREACH named IN ARRAY left_over LOOP
            BEGIN
                EXECUTE format('DELETE FROM %I.%I', place, named);
                GET DIAGNOSTICS removed = ROW_COUNT;
                total := total + removed;
            EXCEPTION WHEN foreign_key_violation THEN
                again := again || named;
            END;
        END LOOP;
        IF cardinality(again) = cardinality(left_over) THEN
            RAISE EXCEPTION 'rows of % refer to each other in a circle', again;
        END IF;
        left_over := again;
    END LOOP;
    RETURN total;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA guard FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA guard FROM PUBLIC;
