//! The server is what tests believe it to be, and leaves nothing behind.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::*;

const VICTIM: &str = "MCP_TESTKIT_VICTIM";

#[test]
fn it_is_set_up_as_production_should_be() {
    let database = PostgresServer::shared().database();

    let settings = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
                    WHERE name IN ('ssl', 'fsync', 'data_checksums', 'password_encryption')";
    assert_eq!(database.sql(settings), "data_checksums=on fsync=on password_encryption=scram-sha-256 ssl=on");
    let tls = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(database.sql(tls), "t|TLSv1.3");
    // Otherwise a missing `COLLATE "C"` would be seen on nobody's machine but the customer's.
    assert_eq!(database.sql("SELECT 'a' < 'B'"), "t");
}

#[test]
fn nobody_enters_without_the_password_or_in_the_clear() {
    let server = PostgresServer::shared();

    let wrong = server.try_sql("postgres", "guessed", "postgres", "SELECT 1").expect_err("refused");
    let mut plain = server.client("psql");
    let plain = plain.env("PGSSLMODE", "disable").args(["-X", "-c", "SELECT 1", "postgres"]).output();

    assert!(wrong.contains("password authentication failed"), "{wrong}");
    assert!(String::from_utf8_lossy(&plain.expect("psql runs").stderr).contains("no encryption"));
}

#[test]
fn databases_do_not_see_each_other() {
    let server = PostgresServer::shared();
    let (one, other) = (server.database(), server.database());

    one.sql("CREATE TABLE t (n bigint)");

    assert_ne!(one.name(), other.name());
    assert!(other.try_sql(server.superuser(), server.password(), "SELECT * FROM t").is_err());
}

#[test]
fn an_owner_makes_what_a_member_of_another_role_may_not_change() {
    let database = PostgresServer::shared().database();
    let owner = database.owner();

    let make = "CREATE ROLE some_service; CREATE SCHEMA s; CREATE TABLE s.t (n bigint);
                GRANT USAGE ON SCHEMA s TO some_service; GRANT SELECT ON s.t TO some_service";
    database.try_sql(&owner.user, &owner.password, make).expect("the owner may");
    let member = database.member_of("some_service");

    let as_member = |statement| database.try_sql(&member.user, &member.password, statement);
    assert_eq!(as_member("SELECT count(*) FROM s.t"), Ok("0".to_owned()));
    assert!(as_member("DROP TABLE s.t").is_err() && as_member("CREATE ROLE other").is_err());
}

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let server = PostgresServer::start();
    let database = server.database();
    database.sql("CREATE TABLE t (n bigint); INSERT INTO t VALUES (7)");
    let port = server.port();

    server.kill();
    assert!(TcpStream::connect((HOST, port)).is_err());
    server.start_again();

    assert_eq!(server.port(), port);
    assert_eq!(database.sql("SELECT n FROM t"), "7");
    assert!(server.log().contains("was not properly shut down"), "{}", server.log());
    server.restart();
    assert_eq!(database.sql("SELECT n FROM t"), "7");
}

#[test]
fn it_talks_in_the_clear_where_a_test_wants_that() {
    let server = PostgresServer::start_with(&[("ssl", "off")]);

    assert_eq!(server.sql("postgres", "SHOW ssl"), "off");
}

/// Has two parts: the test, and itself once more as the process that is killed.
#[test]
fn it_ends_with_the_process_that_started_it() {
    if std::env::var_os(VICTIM).is_some() {
        let server = PostgresServer::start();
        eprintln!("victim {} {}", server.port(), server.folder().display());
        loop {
            thread::park();
        }
    }
    let name = "postgres::tests::it_ends_with_the_process_that_started_it";
    let mut victim = Command::new(std::env::current_exe().expect("a program"));
    victim.args(["--exact", name, "--nocapture"]).env(VICTIM, "1");
    let mut victim =
        victim.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the test runs itself");
    let lines = BufReader::new(victim.stderr.take().expect("piped")).lines();
    let told = lines.map_while(Result::ok).find(|line| line.starts_with("victim ")).expect("it started");
    let [_, port, folder] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let address = (HOST, port.parse().expect("a port"));
    assert!(TcpStream::connect(address).is_ok() && Path::new(folder).exists());

    victim.kill().expect("killed");
    victim.wait().expect("dead");

    // The guard and the server are nobody's children now: what they leave is all that can be looked at.
    let gone = || TcpStream::connect(address).is_err() && !Path::new(folder).exists();
    let in_time = (0..200).any(|_| {
        gone() || {
            thread::sleep(Duration::from_millis(50));
            false
        }
    });
    assert!(in_time, "{folder} is still there, or port {port} still answers");
}
