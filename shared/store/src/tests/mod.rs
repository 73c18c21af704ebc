//! What the door lets through, on both engines, and what each engine is held to alone.

mod attacks;
mod audit;
mod both;
mod house;
mod index;
mod keys;
mod postgres;
mod sqlite;
mod vault;

use self::house::{House, notes, options, platform, put, select, service, tenant};
use super::*;

/// Runs each of these with a house of each engine.
macro_rules! on_both_engines {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::tests::House::new(crate::Engine::Sqlite).await).await;
                }
            )*
        }

        mod on_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(crate::tests::House::new(crate::Engine::Postgres).await).await;
                }
            )*
        }
    };
}

use on_both_engines;
