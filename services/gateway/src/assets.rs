//! The console's files, embedded when this was built.

use std::{collections::HashMap, sync::LazyLock};

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderValue;

/// A file as it was built.
pub(crate) struct Embedded {
    /// Its path from the console's root, like `/assets/app.js`.
    pub(crate) path: &'static str,
    /// What it holds.
    pub(crate) bytes: &'static [u8],
}

/// A file as it is served.
#[derive(Debug)]
pub(crate) struct Asset {
    /// What it holds.
    pub(crate) bytes: &'static [u8],
    /// What that is.
    pub(crate) content_type: HeaderValue,
    /// A strong validator (RFC 9110, section 8.8.3): the content's own hash.
    pub(crate) etag: HeaderValue,
    /// How long it may be kept.
    pub(crate) cache_control: HeaderValue,
}

/// What the build script found.
const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(|| {
    let asset = |file: &'static Embedded| (file.path, Asset::new(file.path, file.bytes));
    EMBEDDED.iter().map(asset).collect()
});

/// The file at `path`; `/` is the page itself.
pub(crate) fn at(path: &str) -> Option<&'static Asset> {
    ASSETS.get(if path == "/" { "/index.html" } else { path })
}

// === impl Asset ===

impl Asset {
    fn new(path: &str, bytes: &'static [u8]) -> Self {
        let hash = digest(&SHA256, bytes);
        let hash: String = hash.as_ref()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        // A name that holds a hash of the content never means anything else.
        let cache_control =
            if is_hashed(path) { "public, max-age=31536000, immutable" } else { "public, no-cache" };
        Self {
            bytes,
            content_type: HeaderValue::from_static(content_type(path)),
            etag: HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"-\"")),
            cache_control: HeaderValue::from_static(cache_control),
        }
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        // With `nosniff` a browser runs nothing of this type.
        _ => "application/octet-stream",
    }
}

/// Whether a name holds a hash, as bundlers write it: `app-BX7a01cz.js`.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, _)) = name.split_once('.') else { return false };
    let Some((_, hash)) = stem.rsplit_once('-') else { return false };
    hash.len() >= 8
        && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && hash.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    //! The page is there, and every file is what it is.

    use super::*;

    #[test]
    fn there_is_always_a_page() {
        let page = at("/").expect("a page");

        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(!page.bytes.is_empty());
        assert!(at("/../Cargo.toml").is_none() && at("/no-such-file.js").is_none());
    }

    #[test]
    fn the_page_holds_nothing_that_the_policy_forbids() {
        let page = std::str::from_utf8(at("/").expect("a page").bytes).expect("text");

        assert!(
            !page.contains("<style") && !page.contains(" style=") && !page.contains("onclick="),
            "{page}"
        );
        assert!(!page.contains("<script>"), "{page}");
    }

    #[test]
    fn only_names_with_a_hash_may_be_kept_for_good() {
        assert!(is_hashed("/assets/app-BX7a01cz.js"));
        assert!(!is_hashed("/assets/app.js"));
        assert!(!is_hashed("/assets/summarization-service.js"));
        assert!(!is_hashed("/index.html"));
    }
}
