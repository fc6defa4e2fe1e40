use super::Setup;
use crate::config::{AlgorithmiaFacade, Serves};

fn facade(text: &str) -> AlgorithmiaFacade {
    Setup::new().main(text).load().config.facades.algorithmia
}

#[track_caller]
fn refused(text: &str, said: &[&str]) {
    let said: Vec<String> = said.iter().map(|said| format!("config/pixcolor.toml:{said}")).collect();
    assert_eq!(Setup::new().main(text).problems(), said);
}

#[test]
fn algorithms_have_defaults_and_can_be_changed_one_by_one() {
    let shipped = facade("");
    assert!(!shipped.storage && shipped.hosts.is_empty());
    let names = |facade: &AlgorithmiaFacade| -> Vec<(String, Serves)> {
        facade.algorithms.clone().into_iter().collect()
    };
    let color = ("deeplearning/ColorfulImageColorization".to_owned(), Serves::Route);
    assert_eq!(names(&shipped), [color.clone(), ("demo/Hello".to_owned(), Serves::Hello)]);
    let changed = facade(
        "[facades.algorithmia.algorithms]\n\"demo/Hello\" = \"off\"\n\"me/Mine\" = \"provider:local\"\n",
    );
    assert_eq!(names(&changed), [color, ("me/Mine".to_owned(), Serves::Provider("local".to_owned()))]);
    let setup = Setup::new().main("").env("PIXCOLOR_FACADES__ALGORITHMIA__STORAGE", "true");
    assert!(setup.load().config.facades.algorithmia.storage);
}

#[test]
fn facade_errors_name_their_line() {
    refused(
        "[facades.algorithmia]\nalgorithms = { \"me/Mine\" = \"provider:locl\" }\n",
        &[
            "2: `facades.algorithmia.algorithms.\"me/Mine\"`: there is no provider `locl`: did you mean `provider:local`?",
        ],
    );
    refused(
        "[facades.algorithmia]\nalgorithms = { \"me/Mine/1.0\" = \"route\" }\n",
        &["2: `facades.algorithmia.algorithms.\"me/Mine/1.0\"`: an algorithm is named OWNER/NAME here"],
    );
    refused(
        "[facades.algorithmia]\nalgorithms = { \"me/Mine/1.0\" = \"off\" }\n",
        &["2: `facades.algorithmia.algorithms.\"me/Mine/1.0\"`: an algorithm is named OWNER/NAME here"],
    );
    refused(
        "[facades.algorithmia]\nalgorithms = { \"me/Mine\" = \"local\" }\n",
        &[
            "2: `facades.algorithmia.algorithms.\"me/Mine\"` must be \"route\", \"provider:NAME\", \"hello\" or \"off\", not \"local\"",
        ],
    );
    refused(
        "[facades.algorithmia]\nstorag = true\n",
        &["2: unknown key `facades.algorithmia.storag`: did you mean `facades.algorithmia.storage`?"],
    );
    refused(
        "[facades.algorithmia]\nhosts = [\"https://a.example.com\"]\n",
        &[
            "2: `facades.algorithmia.hosts`: \"https://a.example.com\" is not a host such as \"images.example.com\"",
        ],
    );
}
