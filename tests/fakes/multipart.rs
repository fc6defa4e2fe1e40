//! A parser for forms as RFC 7578 describes them.

use super::http::Request;

/// A part of a form.
#[derive(Clone, Debug)]
pub struct Part {
    pub name: String,
    pub file_name: Option<String>,
    pub media_type: Option<String>,
    pub body: Vec<u8>,
}

/// The parts of a form, in order, or the reason why it is invalid.
pub fn parts(request: &Request) -> Result<Vec<Part>, String> {
    let kind = request.header("Content-Type").unwrap_or_default();
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").ok_or("not a form")?.trim_matches('"');
    let mut rest = request.body.as_slice();
    let mut parts = Vec::new();
    let open = format!("--{boundary}\r\n");
    let close = format!("\r\n--{boundary}");
    rest = rest.strip_prefix(open.as_bytes()).ok_or("no boundary at the beginning")?;
    loop {
        let head_end = find(rest, b"\r\n\r\n").ok_or("a part without an end of its head")?;
        let head = String::from_utf8_lossy(&rest[..head_end]).into_owned();
        rest = &rest[head_end + 4..];
        let end = find(rest, close.as_bytes()).ok_or("a part without an end")?;
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let disposition = header("Content-Disposition").ok_or("a part without a disposition")?;
        let parameter = |name: &str| {
            let rest = disposition.split_once(&format!("; {name}=\""))?.1;
            rest.split('"').next().map(str::to_owned)
        };
        parts.push(Part {
            name: parameter("name").ok_or("a part without a name")?,
            file_name: parameter("filename"),
            media_type: header("Content-Type"),
            body: rest[..end].to_vec(),
        });
        rest = &rest[end + close.len()..];
        match rest {
            b"--" | b"--\r\n" => return Ok(parts),
            more => rest = more.strip_prefix(b"\r\n").ok_or("unexpected data after a boundary")?,
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
