//! The page to open and the answer that comes back.

use std::collections::BTreeMap;

use provider_auth_oauth::{
    CallbackError, Client, LoginSecrets, OauthError, Server, authorization_url, error_code,
    exchange_code, read_callback, read_pasted,
};
use serde_json::Value;
use url::Url;

use crate::support::{MARK, Script, form, public, run, secrets, server, url};

const REDIRECT: &str = "http://127.0.0.1:1455/callback";

fn page(server: &Server, scopes: &[&str], hint: Option<&str>) -> BTreeMap<String, String> {
    let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let url =
        authorization_url(server, &public(), &scopes, &url(REDIRECT), &secrets(), hint).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let map: BTreeMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no parameter twice: {pairs:?}");
    map
}

#[test]
fn pkce_is_that_of_rfc_7636() {
    let vector: Value =
        serde_json::from_str(include_str!("../../../../specs/vectors/pkce.json")).unwrap();
    let bytes: Vec<u8> = serde_json::from_value(vector["verifierBytes"].clone()).unwrap();
    let secrets = LoginSecrets::new(&mut |target| target.copy_from_slice(&bytes));
    let page =
        authorization_url(&server(), &public(), &[], &url(REDIRECT), &secrets, None).unwrap();
    let sent: BTreeMap<String, String> = page.query_pairs().into_owned().collect();
    assert_eq!(
        sent["code_challenge"],
        vector["challenge"].as_str().unwrap()
    );
    assert_eq!(sent["code_challenge_method"], "S256");

    let http = Script::new([(200, r#"{"access_token":"a"}"#)]);
    let callback = read_pasted("code", &secrets, &server()).unwrap();
    run(exchange_code(
        &http,
        &server(),
        &public(),
        callback,
        &secrets,
        &url(REDIRECT),
    ))
    .unwrap();
    let verifier = format!("code_verifier={}", vector["verifier"].as_str().unwrap());
    assert!(form(http.only().body()).contains(&verifier));
}

#[test]
fn the_page_names_all_that_binds_the_login() {
    let page = page(
        &server(),
        &["openid", "models:read"],
        Some("ada@example.com"),
    );
    let secrets = secrets();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid models:read"),
        ("state", &secrets.state),
        ("nonce", &secrets.nonce),
        ("code_challenge_method", "S256"),
        ("login_hint", "ada@example.com"),
    ] {
        assert_eq!(page[name], value, "{name}");
    }
    assert_eq!(page["code_challenge"].len(), 43);
    assert_eq!(page.len(), 9);
}

#[test]
fn a_nonce_is_only_sent_for_an_id_token() {
    assert!(!page(&server(), &["models:read"], None).contains_key("nonce"));
}

#[test]
fn extra_parameters_join_but_never_replace_what_binds_the_login() {
    let mut server = server();
    server.authorization_endpoint = Some(url("https://id.example/authorize?tenant=7"));
    server.dialect.authorize = [
        ("prompt", "consent"),
        ("state", "fixed"),
        ("code_challenge_method", "plain"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let page = page(&server, &[], None);
    assert_eq!(page["tenant"], "7");
    assert_eq!(page["prompt"], "consent");
    assert_eq!(page["state"], secrets().state);
    assert_eq!(page["code_challenge_method"], "S256");
}

#[test]
fn state_nonce_and_verifier_are_independent() {
    let mut drawn = Vec::new();
    let secrets = LoginSecrets::new(&mut |bytes| {
        drawn.push(bytes.len());
        bytes.fill(drawn.len() as u8);
    });
    assert_eq!(drawn, [32, 32, 32]);
    assert_ne!(secrets.state, secrets.nonce);
}

#[test]
fn a_login_needs_a_client_id_and_a_safe_page() {
    let page = |server: &Server, client: &Client| {
        authorization_url(server, client, &[], &url(REDIRECT), &secrets(), None).unwrap_err()
    };
    assert_eq!(
        page(&server(), &Client::public(" ")),
        OauthError::MissingClientId
    );
    let nowhere = Server::default();
    assert_eq!(
        page(&nowhere, &public()),
        OauthError::MissingEndpoint {
            which: "authorization endpoint"
        }
    );
    let unsafe_page = Server {
        authorization_endpoint: Some(url("http://id.example/authorize")),
        ..server()
    };
    assert_eq!(
        page(&unsafe_page, &public()),
        OauthError::InsecureEndpoint {
            url: "http://id.example".to_owned()
        }
    );
}

/// Checks what an answer comes to; `STATE` in it stands for the state of the login.
#[track_caller]
fn check(
    read: fn(&str, &LoginSecrets, &Server) -> Result<provider_auth_oauth::Callback, CallbackError>,
    server: &Server,
    answer: &str,
    expect: Result<&str, CallbackError>,
) {
    let secrets = secrets();
    let answer = answer.replace("STATE", &secrets.state);
    let code = read(&answer, &secrets, server).map(|callback| {
        let http = Script::new([(200, r#"{"access_token":"a"}"#)]);
        run(exchange_code(
            &http,
            server,
            &public(),
            callback,
            &secrets,
            &url(REDIRECT),
        ))
        .unwrap();
        let sent = Url::parse(&format!(
            "x://x?{}",
            String::from_utf8(http.only().into_body()).unwrap()
        ));
        let sent = sent.unwrap();
        sent.query_pairs()
            .find(|(name, _)| name == "code")
            .unwrap()
            .1
            .into_owned()
    });
    assert_eq!(code.as_deref().map_err(Clone::clone), expect, "{answer}");
}

#[test]
fn only_the_answer_to_this_login_counts() {
    use CallbackError as E;
    let denied = |error: &str, description: Option<&str>| E::Denied {
        error: error.to_owned(),
        description: description.map(str::to_owned),
    };
    for (query, expect) in [
        ("code=abc&state=STATE", Ok("abc")),
        ("state=STATE&code=a%2Fb%3D&scope=x&scope=y", Ok("a/b=")),
        (
            "code=abc&state=STATE&iss=https%3A%2F%2Fid.example",
            Ok("abc"),
        ),
        (
            "code=abc&state=STATE&iss=https%3A%2F%2Fid.example%2F",
            Ok("abc"),
        ),
        (
            "code=abc&state=STATE&iss=https%3A%2F%2Fevil.example",
            Err(E::WrongIssuer),
        ),
        ("code=abc&state=other", Err(E::WrongState)),
        ("code=abc&state=STATE0", Err(E::WrongState)),
        ("code=abc&state=", Err(E::MissingState)),
        ("", Err(E::MissingState)),
        ("code=abc&code=abc&state=STATE", Err(E::RepeatedParameter)),
        (
            "code=abc&state=STATE&state=STATE",
            Err(E::RepeatedParameter),
        ),
        (
            "code=abc&state=STATE&state=other",
            Err(E::RepeatedParameter),
        ),
        ("state=STATE", Err(E::MissingCode)),
        ("state=STATE&code=", Err(E::MissingCode)),
        ("state=STATE&code=a%0D%0Ab", Err(E::MissingCode)),
        (
            "error=access_denied&state=STATE",
            Err(denied("access_denied", None)),
        ),
        (
            "error=access_denied&error_description=not%1B%5B31m+you&state=STATE",
            Err(denied("access_denied", Some("not[31m you"))),
        ),
        (
            "error=access_denied&code=abc&state=STATE",
            Err(denied("access_denied", None)),
        ),
        ("error=access_denied", Err(E::MissingState)),
        ("error=access_denied&state=other", Err(E::WrongState)),
    ] {
        check(read_callback, &server(), query, expect);
    }
}

#[test]
fn a_server_that_promises_its_issuer_must_name_it() {
    let server = Server {
        issuer_in_response: true,
        ..server()
    };
    check(
        read_callback,
        &server,
        "code=abc&state=STATE",
        Err(CallbackError::WrongIssuer),
    );
    check(
        read_callback,
        &server,
        "code=abc&state=STATE&iss=https%3A%2F%2Fid.example",
        Ok("abc"),
    );
}

#[test]
fn whatever_a_user_pastes_is_read_and_checked() {
    use CallbackError as E;
    for (text, expect) in [
        ("  abc \n", Ok("abc")),
        ("YWJj==", Ok("YWJj==")),
        ("abc#STATE", Ok("abc")),
        ("abc#other", Err(E::WrongState)),
        ("abc#", Err(E::MissingState)),
        ("code=abc&state=STATE", Ok("abc")),
        ("?code=abc&state=STATE", Ok("abc")),
        (
            "http://127.0.0.1:1455/callback?code=abc&state=STATE",
            Ok("abc"),
        ),
        (
            "http://127.0.0.1:1455/callback?code=abc&state=STATE#_=_",
            Ok("abc"),
        ),
        ("localhost:1455/callback?state=STATE&code=abc", Ok("abc")),
        (
            "http://127.0.0.1:1455/callback?code=abc&state=other",
            Err(E::WrongState),
        ),
        (
            "http://127.0.0.1:1455/callback?code=abc",
            Err(E::MissingState),
        ),
        ("http://127.0.0.1:1455/callback", Err(E::MissingCode)),
        ("", Err(E::MissingCode)),
        ("two words", Err(E::MissingCode)),
    ] {
        check(read_pasted, &server(), text, expect);
    }
}

#[test]
fn what_terminals_chats_and_shells_add_to_a_paste_is_left_out() {
    use CallbackError as E;
    let callback = "http://127.0.0.1:1455/callback";
    let whole = format!("{callback}?code=4%2F0AX-b_c&state=STATE");
    for text in [
        whole.clone(),
        "4/0AX-b_c".to_owned(),
        "4%2F0AX-b_c".to_owned(),
        "4%2f0AX-b_c".to_owned(),
        "4%2F0AX-b_c#STATE".to_owned(),
        "4%2F0AX-b_c%23STATE".to_owned(),
        "code=4%2F0AX-b_c".to_owned(),
        "?code=4/0AX-b_c".to_owned(),
        "code=4/0AX-b_c#STATE".to_owned(),
        "code=4%2F0AX-b_c&state=STATE".to_owned(),
        "state=STATE&code=4/0AX-b_c#".to_owned(),
        "code=4/0AX-b_c&amp;state=STATE".to_owned(),
        format!("{callback}#code=4/0AX-b_c&state=STATE"),
        "http%3A%2F%2F127.0.0.1%3A1455%2Fcallback%3Fcode%3D4%252F0AX-b_c%26state%3DSTATE"
            .to_owned(),
        "code%3D4%2F0AX-b_c".to_owned(),
    ] {
        let (front, back) = text.split_at(text.len() / 2);
        for dressed in [
            text.clone(),
            format!("\u{feff}{text}"),
            format!("\u{1b}[200~{text}\u{1b}[201~"),
            format!("\u{1b}[200~{text}\n\u{1b}[201~\n"),
            format!("^[[200~{text}^[[201~"),
            format!("[200~{text}[201~"),
            format!("\"{text}\""),
            format!("'{text}'\r\n"),
            format!("`{text}`"),
            format!("\u{201c}{text}\u{201d}"),
            format!("<{text}>"),
            format!(" < {text} > "),
            format!("\"<{text}>\""),
            format!("{front}\n{back}"),
            format!("{front}\r\n    {back}\n\n"),
            format!("{front}\u{200b}{back}\u{a0}"),
            text.replace('?', "\\?")
                .replace('=', "\\=")
                .replace('&', "\\&"),
        ] {
            check(read_pasted, &server(), &dressed, Ok("4/0AX-b_c"));
        }
    }
    // What is understood is still checked.
    for (text, expect) in [
        (format!("<{callback}?code=abc&state=other>"), E::WrongState),
        (
            format!("\"{callback}#code=abc&state=other\""),
            E::WrongState,
        ),
        ("'abc#other'".to_owned(), E::WrongState),
        ("code=abc#other".to_owned(), E::WrongState),
        (
            "code=abc&iss=https%3A%2F%2Fevil.example&state=STATE".to_owned(),
            E::WrongIssuer,
        ),
        ("state=STATE".to_owned(), E::MissingCode),
        ("\"\"".to_owned(), E::MissingCode),
        ("<two words>".to_owned(), E::MissingCode),
        ("50%".to_owned() + " off", E::MissingCode),
    ] {
        check(read_pasted, &server(), &text, Err(expect));
    }
    // A percent sign that escapes nothing is part of the code.
    check(read_pasted, &server(), "50%off", Ok("50%off"));
}

#[test]
fn the_error_code_of_an_answer_can_be_shown_whether_it_counts_or_not() {
    for (query, expect) in [
        ("error=access_denied&state=other", Some("access_denied")),
        ("error=interaction_required", Some("interaction_required")),
        ("error=AADSTS50011", Some("AADSTS50011")),
        ("code=abc&state=STATE", None),
        ("error=", None),
        ("error=call+0800+now", None),
        ("error=%3Cscript%3E", None),
    ] {
        assert_eq!(error_code(query).as_deref(), expect, "{query}");
    }
    assert_eq!(error_code(&format!("error={}", "a".repeat(100))), None);
}

#[test]
fn secrets_of_a_login_do_not_show() {
    let secrets = LoginSecrets::new(&mut |bytes| bytes.fill(0x41));
    let shown = format!("{secrets:?}");
    assert!(
        !shown.contains(&secrets.state) && !shown.contains(&secrets.nonce),
        "{shown}"
    );
    let callback = read_pasted(&format!("{MARK}-code"), &secrets, &server()).unwrap();
    assert!(!format!("{callback:?}").contains(MARK));
}
