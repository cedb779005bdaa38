//! Lists of models: kept for each account, asked for as any request, and served on when the
//! provider is out of reach.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use provider_auth_broker::{
    AccountChanges, BrokerError, Filter, HttpError, KeyCheck, ModelList, ModelsRequest,
    RefreshModels, Revoke, Waits,
};
use serde_json::json;

use crate::api::Says;
use crate::world::{MARK, Process, World, config, let_others_run, pass};

const HOUR: u64 = 3600;

fn request(refresh: RefreshModels) -> ModelsRequest {
    ModelsRequest {
        provider: "acme".to_owned(),
        namespace: None,
        account: None,
        refresh,
    }
}

async fn models(process: &Process) -> Result<ModelList, BrokerError> {
    process
        .discover_models(&request(RefreshModels::WhenOld))
        .await
}

async fn asked_anew(process: &Process) -> Result<ModelList, BrokerError> {
    process
        .discover_models(&request(RefreshModels::Always))
        .await
}

fn ids(list: &ModelList) -> Vec<&str> {
    list.models.iter().map(|model| model.id.as_str()).collect()
}

/// The one file that holds the lists of a pool.
fn cache_file(world: &World) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(world.vault_dir().join("cache"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_list_serves_every_process_for_twelve_hours() {
    let world = World::new();
    world.api.says(Says::list(&["a", "b"]));
    let process = world.process();
    process.add_key("one").await;
    let made = world.now();
    let list = models(&process).await.unwrap();
    assert_eq!((ids(&list), list.stale), (vec!["a", "b"], false));
    assert_eq!(list.fetched_at, made);
    world.api.says(Says::list(&["c"]));

    pass(12 * HOUR - 1).await;
    let kept = models(&world.process()).await.unwrap();
    assert_eq!(kept, list);
    assert_eq!(world.api.asked(), ["one /models"]);

    pass(1).await;
    let next = models(&world.process()).await.unwrap();
    assert_eq!((ids(&next), next.stale), (vec!["c"], false));
    assert_eq!(next.fetched_at, world.now());
}

#[tokio::test(start_paused = true)]
async fn a_list_from_before_the_clock_was_set_back_is_asked_for_again() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    process.add_key("one").await;
    let made = models(&process).await.unwrap().fetched_at;
    world.set_clock(-3600);
    world.api.says(Says::Failure(HttpError::Connect));
    let list = models(&process).await.unwrap();
    assert_eq!((list.stale, list.fetched_at), (true, made));
    world.api.says(Says::list(&["b"]));
    let list = models(&process).await.unwrap();
    assert_eq!((ids(&list), list.stale), (vec!["b"], false));
    assert_eq!(list.fetched_at, world.now());
}

#[tokio::test(start_paused = true)]
async fn on_request_the_provider_is_asked_although_a_list_is_kept() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    process.add_key("one").await;
    models(&process).await.unwrap();
    world.api.says(Says::list(&["b"]));
    assert_eq!(ids(&asked_anew(&process).await.unwrap()), ["b"]);
    assert_eq!(ids(&models(&process).await.unwrap()), ["b"]);
    assert_eq!(world.api.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn whatever_keeps_the_provider_from_answering_the_kept_list_is_served() {
    let page = |text: &str| Says::Status(200, &[], text.to_owned());
    let dead_key = || {
        let body = r#"{"error":{"code":"invalid_api_key"}}"#;
        Says::Status(401, &[], body.to_owned())
    };
    for (what, answer, code) in [
        ("no route", Says::Failure(HttpError::Connect), "NETWORK"),
        ("no answer", Says::Failure(HttpError::Timeout), "NETWORK"),
        ("too long", Says::Failure(HttpError::TooLarge), "NETWORK"),
        ("broken", Says::status(500), "NETWORK"),
        ("forbidden", Says::status(403), "NETWORK"),
        ("moved", Says::status(302), "NETWORK"),
        ("limited", Says::limited(), "EXHAUSTED"),
        ("refused", dead_key(), "NEEDS_LOGIN"),
        ("not for this", Says::status(401), "NETWORK"),
        ("a page", page("<html>"), "NETWORK"),
        ("an error with 200", page("{\"error\":{}}"), "NETWORK"),
        ("no ids", page("{\"data\":[{}]}"), "NETWORK"),
        ("an empty list", page("{\"data\":[]}"), "NETWORK"),
        ("nothing", page(""), "NETWORK"),
    ] {
        let world = World::new();
        let process = world.impatient_process();
        process.add_key("one").await;
        world.api.says_at("one", answer.clone());
        let error = models(&process).await.unwrap_err();
        assert_eq!(error.code(), code, "{what}: {error}");
        assert!(!error.to_string().contains(MARK), "{what}");
        assert_eq!(error.retry_at().is_some(), code == "EXHAUSTED", "{what}");

        let world = World::new();
        let process = world.impatient_process();
        process.add_key("one").await;
        world.api.says(Says::list(&["a"]));
        let made = models(&process).await.unwrap().fetched_at;
        pass(13 * HOUR).await;
        world.api.says_at("one", answer);
        // Twice: also when no account can be asked any more.
        for _ in 0..2 {
            let list = models(&process).await.unwrap();
            assert_eq!((ids(&list), list.stale), (vec!["a"], true), "{what}");
            assert_eq!(list.fetched_at, made, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_forbidden_leaves_the_account_serving() {
    let world = World::new();
    let process = world.impatient_process();
    let id = process.add_key("one").await;
    let body = "{\"error\":{\"code\":\"permission_error\"}}".to_owned();
    world.api.says(Says::Status(403, &[], body));
    let error = models(&process).await.unwrap_err();
    assert!(error.to_string().ends_with("answered 403"), "{error}");
    assert_eq!(process.state_of(&id).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn without_an_account_or_a_provider_no_kept_list_is_served() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    let error = models(&process).await.unwrap_err();
    assert_eq!(error.code(), "NO_ACCOUNT");
    let id = process.add_key("one").await;
    models(&process).await.unwrap();
    process.remove_account(&id, Revoke::Locally).await.unwrap();
    assert_eq!(models(&process).await.unwrap_err().code(), "NO_ACCOUNT");

    process.add_key("two").await;
    world.api.says(Says::Failure(HttpError::Connect));
    let error = models(&process).await.unwrap_err();
    assert_eq!(error.code(), "NETWORK", "the list of another account");

    let unknown = ModelsRequest {
        provider: "nobody".to_owned(),
        ..request(RefreshModels::WhenOld)
    };
    let error = process.discover_models(&unknown).await.unwrap_err();
    assert_eq!(error.code(), "UNKNOWN_PROVIDER");
}

#[tokio::test(start_paused = true)]
async fn another_plan_of_the_same_login_gets_another_list() {
    let world = World::new();
    world.api.says(Says::list(&["free"]));
    let process = world.process();
    let plan = |plan| json!({ "plan": plan });
    world.server.adds(plan("free"));
    let id = process.log_in("ann").await;
    models(&process).await.unwrap();
    world.server.adds(plan("plus"));
    assert_eq!(process.log_in("ann").await, id);
    world.api.says(Says::list(&["free", "plus"]));
    let list = models(&process).await.unwrap();
    assert_eq!(ids(&list), ["free", "plus"]);
}

#[tokio::test(start_paused = true)]
async fn where_the_first_address_has_no_list_the_second_is_asked() {
    let list = Says::list(&["a"]);
    let page = Says::Status(200, &[], "<html>".to_owned());
    for (first, goes_on) in [
        (Says::status(404), true),
        (Says::status(405), true),
        (page, true),
        (Says::status(403), false),
        (Says::status(400), false),
        (Says::json(&json!({ "error": {} })), false),
    ] {
        let world = World::new();
        world.api.says(first);
        world.api.says_at("/v1/models", list.clone());
        let process = world.process();
        let id = process.add_key("one").await;
        assert_eq!(models(&process).await.is_ok(), goes_on);
        if goes_on {
            assert_eq!(world.api.asked(), ["one /models", "one /v1/models"]);
            assert_eq!(process.state_of(&id).await, "ready");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_configured_address_is_asked_as_it_is_and_alone() {
    let world = World::new();
    let url = "https://api.acme.example/all?of=them";
    let process = world.process_with(config(json!({ "modelsUrl": url })));
    process.add_key("one").await;
    let error = models(&process).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("https://api.acme.example/all answered 404"),
        "{error}"
    );
    world.api.says_at("/all?of=them", Says::list(&["a"]));
    models(&process).await.unwrap();
    assert_eq!(world.api.asked(), ["one /all?of=them"; 2]);
}

#[tokio::test(start_paused = true)]
async fn pages_are_put_together_and_asked_for_with_one_account() {
    let world = World::new();
    let page = |ids: &[&str], more: bool| {
        let data: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
        Says::json(&json!({ "data": data, "has_more": more, "last_id": ids.last() }))
    };
    world.api.says(page(&["a", "b"], true));
    world
        .api
        .says_at("/models?after_id=b", page(&["b", "c"], true));
    world.api.says_at("/models?after_id=c", page(&["d"], false));
    let process = world.process_with(config(json!({ "rotation": { "strategy": "round-robin" } })));
    process.add_key("one").await;
    process.add_key("two").await;
    let list = models(&process).await.unwrap();
    assert_eq!(ids(&list), ["a", "b", "c", "d"]);
    let asked = world.api.asked();
    let who = asked[0].split(' ').next().unwrap();
    assert!(
        asked.len() == 3 && asked.iter().all(|asked| asked.starts_with(who)),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn pages_that_do_not_end_are_no_list() {
    let world = World::new();
    let page = |id: String| json!({ "data": [{ "id": id }], "has_more": true, "last_id": id });
    world.api.says(Says::json(&page("0".to_owned())));
    for number in 0..40 {
        let next = page(format!("{}", number + 1));
        world
            .api
            .says_at(&format!("/models?after_id={number}"), Says::json(&next));
    }
    let process = world.process();
    process.add_key("one").await;
    let error = models(&process).await.unwrap_err();
    assert!(error.to_string().contains("too many pages"), "{error}");
    // One that repeats itself has said everything.
    world
        .api
        .says_at("/models?after_id=0", Says::json(&page("0".to_owned())));
    assert_eq!(ids(&models(&process).await.unwrap()), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_account_hands_over_to_the_next_and_each_has_its_own_list() {
    let world = World::new();
    world.api.says_at("one", Says::limited());
    world.api.says_at("two", Says::list(&["of two"]));
    let process = world.impatient_process();
    process.add_key("one").await;
    let two = process.add_key("two").await;
    let last = AccountChanges {
        priority: Some(1),
        ..AccountChanges::default()
    };
    process.update_account(&two, last).await.unwrap();
    assert_eq!(ids(&models(&process).await.unwrap()), ["of two"]);
    assert_eq!(world.api.asked(), ["one /models", "two /models"]);
    assert_eq!(ids(&models(&process).await.unwrap()), ["of two"]);
    assert!(world.api.asked().is_empty());

    pass(700).await;
    let off = AccountChanges {
        enabled: Some(false),
        ..AccountChanges::default()
    };
    process.update_account(&two, off).await.unwrap();
    world.api.says_at("one", Says::list(&["of one"]));
    assert_eq!(ids(&models(&process).await.unwrap()), ["of one"]);
}

#[tokio::test(start_paused = true)]
async fn the_mode_of_the_pool_says_who_is_asked() {
    for (mode, who) in [("subscription", "ann"), ("auto", "ann"), ("api", "one")] {
        let world = World::new();
        world.api.says(Says::list(&["a"]));
        let rotation = json!({ "mode": mode, "maxWaitMs": 0 });
        let process = world.process_with(config(json!({ "rotation": rotation })));
        process.add_key("one").await;
        process.log_in("ann").await;
        models(&process).await.unwrap();
        assert_eq!(world.api.asked(), [format!("{who} /models")], "{mode}");
        // The list of the other kind of account is none of this pool's.
        let other = if mode == "api" { "subscription" } else { "api" };
        let rotation = json!({ "mode": other, "maxWaitMs": 0 });
        let process = world.process_with(config(json!({ "rotation": rotation })));
        world.api.says(Says::limited());
        for _ in 0..2 {
            let error = models(&process).await.unwrap_err();
            assert_eq!(error.code(), "EXHAUSTED", "{mode}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_renewed_first() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    process.log_in("ann").await;
    pass(2 * HOUR).await;
    models(&process).await.unwrap();
    assert_eq!(world.server.refreshes(), 1);
    pass(2 * HOUR).await;
    world.server.revoke_all();
    let error = asked_anew(&process).await;
    assert!(
        error.unwrap().stale,
        "the login has ended, and a list is kept"
    );
    assert_eq!(world.api.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pin_asks_with_that_account_alone() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    process.add_key("one").await;
    let two = process.add_key("two").await;
    models(&process).await.unwrap();
    let pinned = ModelsRequest {
        account: Some(two),
        ..request(RefreshModels::Always)
    };
    process.discover_models(&pinned).await.unwrap();
    assert_eq!(world.api.asked(), ["one /models", "two /models"]);
    // A refusal of that key is not made up for by the other one.
    world.api.says(Says::status(401));
    assert!(process.discover_models(&pinned).await.unwrap().stale);
    assert_eq!(world.api.asked(), ["two /models"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_checked_without_being_stored() {
    let world = World::new();
    let process = world.process();
    let refused = |status| KeyCheck::Refused(status);
    for (answer, expect) in [
        (Says::list(&["a"]), Some(KeyCheck::Accepted)),
        (Says::status(401), Some(refused(401))),
        (Says::status(403), Some(refused(403))),
        (Says::status(404), None),
        (Says::status(500), None),
        (Says::limited(), None),
        (Says::Failure(HttpError::Connect), None),
    ] {
        world.api.says(answer);
        let found = process
            .check_api_key("acme", "sk-checked".to_owned().into())
            .await
            .unwrap();
        match expect {
            Some(expect) => assert_eq!(found, expect),
            None => assert!(matches!(found, KeyCheck::Unclear(_)), "{found:?}"),
        }
        assert!(!format!("{found:?}").contains("sk-checked"));
    }
    assert!(
        process
            .list_accounts(&Filter::default())
            .await
            .unwrap()
            .is_empty()
    );
    for (provider, key, code) in [
        ("nobody", "sk-checked", "UNKNOWN_PROVIDER"),
        ("acme", "two words", "INVALID_ARGUMENT"),
    ] {
        let error = process
            .check_api_key(provider, key.to_owned().into())
            .await
            .unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_at_the_same_time_share_one_request() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    process.add_key("one").await;
    world.api.hold();
    let call = |broker: Arc<_>| async move {
        let request = request(RefreshModels::Always);
        provider_auth_broker::Broker::discover_models(&broker, &request).await
    };
    let calls: Vec<_> = (0..5)
        .map(|_| tokio::spawn(call(process.clone())))
        .collect();
    world.api.arrived(1).await;
    let_others_run().await;
    world.api.release();
    for call in calls {
        assert_eq!(ids(&call.await.unwrap().unwrap()), ["a"]);
    }
    assert_eq!(world.api.asked().len(), 1);
    // And an error is everybody's, too; it is not kept.
    world.api.hold();
    world.api.says(Says::status(403));
    let namespace = Some("empty".to_owned());
    let nobody = ModelsRequest {
        namespace,
        ..request(RefreshModels::WhenOld)
    };
    let error = process.discover_models(&nobody).await.unwrap_err();
    assert_eq!(error.code(), "NO_ACCOUNT");
    world.api.release();
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_ends_no_other_wait() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    process.add_key("one").await;
    world.api.hold();
    let waits = Arc::new(Waits::default());
    let number = waits.begin();
    let first = tokio::spawn({
        let (waits, broker) = (waits.clone(), process.clone());
        async move {
            let request = request(RefreshModels::WhenOld);
            let work = broker.discover_models(&request);
            waits.run(Some(number), work).await
        }
    });
    world.api.arrived(1).await;
    let second = tokio::spawn({
        let broker = process.clone();
        async move {
            let request = request(RefreshModels::WhenOld);
            broker.discover_models(&request).await
        }
    });
    let_others_run().await;
    waits.end(number);
    assert_eq!(first.await.unwrap().unwrap_err().code(), "ABORTED");
    world.api.release();
    assert_eq!(ids(&second.await.unwrap().unwrap()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_is_given_up_after_a_minute() {
    let world = World::new();
    let process = world.process();
    process.add_key("one").await;
    world.api.hold();
    let began = world.now();
    let error = models(&process).await.unwrap_err();
    assert_eq!(error.code(), "NETWORK");
    assert_eq!(began.until(world.now()).as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_names_no_person_and_holds_no_secret() {
    let world = World::new();
    world.api.says(Says::list(&["a"]));
    let process = world.process();
    let id = process.log_in("ann").await;
    models(&process).await.unwrap();
    let file = cache_file(&world);
    let text = fs::read_to_string(&file).unwrap();
    for hidden in [MARK, "ann", "@", "acme", id.as_str()] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
        assert!(!file.file_name().unwrap().to_str().unwrap().contains(hidden));
    }
    assert!(text.contains("\"a\""));
}

#[tokio::test(start_paused = true)]
async fn junk_in_place_of_the_kept_lists_is_no_list() {
    for junk in [
        "",
        "{",
        "null",
        "{\"format\":1}",
        "{\"format\":2,\"lists\":{}}",
        "{\"format\":1,\"lists\":{\"x\":{\"fetchedAt\":-1,\"models\":[]}}}",
    ] {
        let world = World::new();
        world.api.says(Says::list(&["a"]));
        let process = world.process();
        process.add_key("one").await;
        models(&process).await.unwrap();
        let file = cache_file(&world);
        fs::write(&file, junk).unwrap();
        world.api.says(Says::list(&["b"]));
        assert_eq!(ids(&models(&process).await.unwrap()), ["b"], "{junk}");
        assert_eq!(ids(&models(&world.process()).await.unwrap()), ["b"]);
        assert_eq!(world.api.asked().len(), 2, "{junk}");
    }
}
