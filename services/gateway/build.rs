//! Embeds the console's files, or a page that says how to make them.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

const CONSOLE: &str = "console";
const DIST: &str = "console/dist";

const MISSING: &str = r#"<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>MCP Platform</title></head>
<body>
<h1>MCP Platform</h1>
<p>The gateway runs, but was built without its console. Run <code>make console</code> and build again.</p>
</body>
</html>
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=build.rs");
    let dist = root.join(DIST);
    let mut files = Vec::new();
    if dist.join("index.html").is_file() {
        println!("cargo:rerun-if-changed={DIST}");
        walk(&dist, &mut files)?;
        files.sort();
    } else {
        println!("cargo:warning=the console is not built: the page at / says so; run `make console`");
        // The folder that the files will come into; watching what is not there would build anew each time.
        if root.join(CONSOLE).is_dir() {
            println!("cargo:rerun-if-changed={CONSOLE}");
        } else {
            println!("cargo:rerun-if-changed=.");
        }
        let page = out.join("missing.html");
        fs::write(&page, MISSING)?;
    }
    let mut table = String::from("&[\n");
    for file in &files {
        let path = file.strip_prefix(&dist)?.to_str().ok_or("a file of the console has no name in UTF-8")?;
        let url = format!("/{}", path.replace('\\', "/"));
        writeln!(
            table,
            "    Embedded {{ path: {url:?}, bytes: include_bytes!({:?}) }},",
            file.display().to_string()
        )?;
    }
    if files.is_empty() {
        let page = out.join("missing.html").display().to_string();
        writeln!(table, "    Embedded {{ path: \"/index.html\", bytes: include_bytes!({page:?}) }},")?;
    }
    table.push_str("]\n");
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
