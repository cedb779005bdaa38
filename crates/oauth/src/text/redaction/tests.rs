use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn words_and_names_of_records_stay() {
    for text in [
        "AADSTS70008: the refresh token has expired due to inactivity",
        "trace id 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "see https://login.example.com/common/oauth2/v2.0/token",
        "the scope https://api.example/auth/notes.readonly is not allowed",
        "unsupported_token_endpoint_auth_method",
        "the package @acme/notes, 100% sure, R&D; a\\b",
        "at 2026-11-26T15:19:12Z",
        "",
    ] {
        assert_eq!(without_private(text), text);
        assert!(!looks_private(text));
    }
}

#[test]
fn an_address_shows_in_no_form() {
    for text in [
        "ada.lovelace@example.com",
        "user Ada+work@mail.example.co.uk is locked",
        "<ada@example.com>, try later",
        "ada@localhost",
        "ada%40example.com",
        "ada%2540example.com",
        r"ada\u0040example.com",
        r"ada\\u0040example.com",
        "ada&#64;example.com",
        "ada&#x40;example.com",
        "ada&commat;example.com",
        "\"ada lovelace\"@example.com",
        "ädä@exämple.com",
        "ada\u{ff20}example.com",
        "ada@[192.0.2.1]",
    ] {
        let shown = without_private(text);
        assert!(shown.contains(ADDRESS), "{text}: {shown}");
        assert!(
            !shown.contains("ada") && !shown.contains("example"),
            "{text}: {shown}"
        );
    }
}

#[test]
fn an_address_in_base64_does_not_show() {
    for text in [
        "a@b.de",
        "ada@local.test",
        "ada.lovelace@example.com:pass",
        "grüße@example.com",
    ] {
        for written in [STANDARD.encode(text), URL_SAFE_NO_PAD.encode(text)] {
            let shown = without_private(&format!("Basic {written} is wrong."));
            assert_eq!(shown, format!("Basic {SECRET} is wrong."), "{text}");
        }
    }
}

#[test]
fn a_key_of_an_unknown_kind_shows_in_no_form() {
    for key in [
        "sk-ant-api03-abcdef",
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "ya29.a0AfH6SMBx",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "8f14e45fceea167a5a36dedd4bea2543",
        "mF_9.B5f-4.1JqM8hTz0QwErTy77",
        "1//0gabcDEF123456789abcdefghi",
    ] {
        let shown = without_private(&format!("the token {key} is not for you"));
        assert_eq!(shown, format!("the token {SECRET} is not for you"));
    }
}

#[test]
fn a_known_secret_shows_in_no_form() {
    let secret = "pass phrase/ö+\"of\"=ada";
    let form =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let json = serde_json::Value::from(secret).to_string();
    let json = json.trim_matches('"').to_owned();
    let escaped: String = secret
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04X}"))
        .collect();
    for text in [
        secret.to_owned(),
        form(secret),
        form(&form(secret)),
        percent,
        json.replace('\\', "\\\\"),
        json,
        escaped,
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode(format!("app:{secret}")),
        STANDARD.encode(format!("my-app:{secret}!")),
        form(&STANDARD.encode(format!("client:{secret}"))),
    ] {
        let shown = hidden(&format!("no such thing: {text} (really)"), &[secret]);
        assert_eq!(shown, format!("no such thing: {SECRET} (really)"), "{text}");
    }
}

#[test]
fn text_that_is_cut_in_the_middle_of_anything_is_read_to_its_end() {
    for text in [
        "%", "%4", "%zz", "\\", "\\u", "\\u00", "&", "&#;", "&#x;", "@", "a@", "@b", "%ff",
        "\\ud800",
    ] {
        let _ = without_private(text);
    }
    assert_eq!(without_private("100 %é"), "100 %é");
}
