//! Undoes how a body was compressed for its way (RFC 9110 §8.4): some servers compress without
//! being asked.

use std::io::Read;

use brotli_decompressor::Decompressor;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use provider_auth_oauth::HttpError;

/// The first bytes of every gzip stream (RFC 1952 §2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Bytes that the brotli decoder reads at a time.
const BUFFER_BYTES: usize = 4096;

/// Most codings on top of each other that are undone: more only serve to make a small answer large.
const MOST: usize = 3;

/// Returns the body as its headers say that it was before it was compressed, and has them say so no
/// more. A coding that is not known, or that the body does not have, leaves it as it is: proxies
/// undo one and leave the header.
pub(super) fn undo(
    mut body: Vec<u8>,
    headers: &mut HeaderMap,
    limit: usize,
) -> Result<Vec<u8>, HttpError> {
    let lines = headers.get_all(CONTENT_ENCODING).into_iter();
    let named: Vec<String> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|coding| coding.trim().to_ascii_lowercase())
        .filter(|coding| !matches!(coding.as_str(), "" | "identity"))
        .collect();
    if named.is_empty() || body.is_empty() {
        return Ok(body);
    }
    if named.len() > MOST {
        return Err(HttpError::Other);
    }
    // The last one was applied last.
    for coding in named.iter().rev() {
        body = match coding.as_str() {
            "gzip" | "x-gzip" if body.starts_with(GZIP) => {
                whole(MultiGzDecoder::new(&body[..]), limit)?
            }
            "deflate" => {
                // Meant is the zlib format; some servers send the bare stream.
                let zlib = whole(ZlibDecoder::new(&body[..]), limit);
                let bare = || whole(DeflateDecoder::new(&body[..]), limit);
                first_of([&|| zlib.clone(), &bare])?.unwrap_or(body)
            }
            "br" => {
                let brotli = || whole(Decompressor::new(&body[..], BUFFER_BYTES), limit);
                first_of([&brotli])?.unwrap_or(body)
            }
            _ => body,
        };
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(body)
}

/// The first reading that works, if any does; one that is too large ends it.
fn first_of<const N: usize>(
    readings: [&dyn Fn() -> Result<Vec<u8>, HttpError>; N],
) -> Result<Option<Vec<u8>>, HttpError> {
    for read in readings {
        match read() {
            Ok(body) => return Ok(Some(body)),
            Err(HttpError::TooLarge) => return Err(HttpError::TooLarge),
            Err(_) => {}
        }
    }
    Ok(None)
}

fn whole(reader: impl Read, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    reader
        .take(limit as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|_| HttpError::Other)?;
    match body.len() > limit {
        true => Err(HttpError::TooLarge),
        false => Ok(body),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const TEXT: &[u8] = br#"{"access_token":"a","expires_in":3600}"#;

    /// `TEXT`, as brotli 1.1 writes it: uncompressed, in one block.
    fn brotli() -> Vec<u8> {
        // A window of 16 bits, one block of so many bytes that is not compressed, and an empty last
        // block (RFC 7932 §9).
        let length = TEXT.len() - 1;
        let bits = (length << 4) | (1 << 20);
        let mut stream = vec![bits as u8, (bits >> 8) as u8, (bits >> 16) as u8];
        stream.extend_from_slice(TEXT);
        stream.push(3);
        stream
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: Vec<u8>, codings: &[&str], limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(CONTENT_ENCODING, coding.parse().unwrap());
        }
        let body = undo(body, &mut headers, limit)?;
        assert!(codings.is_empty() || !headers.contains_key(CONTENT_ENCODING));
        Ok(body)
    }

    #[test]
    fn a_body_is_read_by_what_its_header_says() {
        for (body, codings) in [
            (TEXT.to_vec(), &[][..]),
            (gzip(TEXT), &["gzip"]),
            (gzip(TEXT), &["X-GZIP"]),
            (zlib(TEXT), &["deflate"]),
            (deflate(TEXT), &["deflate"]),
            (brotli(), &["br"]),
            (brotli(), &["BR"]),
            (gzip(&zlib(TEXT)), &["deflate, gzip"]),
            (gzip(&brotli()), &["br", "gzip"]),
            (gzip(TEXT), &["identity, gzip"]),
            // A proxy undid it and left the header.
            (TEXT.to_vec(), &["gzip"]),
            (TEXT.to_vec(), &["deflate"]),
            (TEXT.to_vec(), &["br"]),
            (TEXT.to_vec(), &["unheard-of"]),
        ] {
            assert_eq!(
                read(body, codings, 4096).as_deref(),
                Ok(TEXT),
                "{codings:?}"
            );
        }
        assert_eq!(read(Vec::new(), &[], 4096), Ok(Vec::new()));
    }

    #[test]
    fn a_small_body_that_becomes_large_is_too_large() {
        let large = vec![b' '; 100_000];
        for (body, coding) in [
            (gzip(&large), "gzip"),
            (zlib(&large), "deflate"),
            (deflate(&large), "deflate"),
        ] {
            assert_eq!(
                read(body, &[coding], 4096),
                Err(HttpError::TooLarge),
                "{coding}"
            );
        }
        let cut = gzip(TEXT)[..20].to_vec();
        assert_eq!(read(cut, &["gzip"], 4096), Err(HttpError::Other));
        let often = ["gzip"; 4];
        assert_eq!(read(gzip(TEXT), &often, 4096), Err(HttpError::Other));
    }
}
