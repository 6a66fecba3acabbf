//! Values of `RUN --mount`.

use crate::canon::Problem;
use crate::frontend::dockerfile::expand::Expander;
use crate::frontend::dockerfile::mount::{self, Mount, MountKind, Owner};
use crate::frontend::dockerfile::syntax::{Sharing, Spanned, Word};

fn read(raw: &str) -> Result<Mount, Box<Problem>> {
    let expander = Expander::new('\\');
    let variables = vec![("X".to_owned(), "x,ro".to_owned())];
    let word = Word::new(raw, 100..100 + raw.len());
    let mut expand = |word: &Word| {
        let expanded = expander.word(&word.raw, &variables);
        expanded
            .map(|expanded| expanded.text)
            .map_err(|error| Box::new(Problem::new(error.to_string())))
    };
    mount::parse(&word, &mut expand)
}

fn text(value: &Option<Spanned<String>>) -> Option<&str> {
    value.as_ref().map(|value| &value.value[..])
}

#[test]
fn every_type_has_its_options() {
    let mount = read("target=/a,source=b,from=c,rw").unwrap();
    assert!(!mount.read_only);
    assert_eq!(text(&mount.target), Some("/a"));
    let MountKind::Bind { from, source } = &mount.kind else {
        panic!("{mount:?}");
    };
    assert_eq!((text(from), text(source)), (Some("c"), Some("b")));
    assert_eq!(from.as_ref().unwrap().span, 119..125);
    assert!(read("dst=/a").unwrap().read_only);

    let mount = read("type=cache,id=i,target=/a,sharing=LOCKED,mode=0700,uid=1,gid=2").unwrap();
    let MountKind::Cache {
        sharing, owner, id, ..
    } = &mount.kind
    else {
        panic!("{mount:?}");
    };
    assert_eq!((*sharing, text(id)), (Sharing::Locked, Some("i")));
    let expected = Owner {
        mode: Some(0o700),
        uid: Some(1),
        gid: Some(2),
    };
    assert_eq!(*owner, expected);
    assert!(!mount.read_only);

    for (size, expected) in [
        ("1", 1),
        ("64m", 64 << 20),
        ("1.5GiB", 3 << 29),
        ("2 kB", 2 << 10),
    ] {
        let mount = read(&format!("type=tmpfs,target=/a,size={size}")).unwrap();
        let size = Some(expected);
        assert_eq!(mount.kind, MountKind::Tmpfs { size });
    }
    let mount = read("type=secret,id=a,env=B,required").unwrap();
    let MountKind::Secret {
        id, env, required, ..
    } = &mount.kind
    else {
        panic!("{mount:?}");
    };
    assert_eq!(
        (text(id), text(env), *required),
        (Some("a"), Some("B"), true)
    );
    let mount = read("required=false,type=ssh,src=k").unwrap();
    assert!(
        matches!(mount.kind, MountKind::Ssh { id: Some(id), required: false, .. } if id.value == "k")
    );
}

#[test]
fn variables_never_add_options() {
    let mount = read("target=$X").unwrap();
    assert_eq!(text(&mount.target), Some("x,ro"));
    let mount = read("\"target=a,b\",ro=false").unwrap();
    assert_eq!(text(&mount.target), Some("a,b"));
    assert!(!mount.read_only);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (raw, message) in [
        ("", "an option of the mount is empty"),
        ("target=/a,", "an option of the mount is empty"),
        ("type=x", "there is no mount of type `x`"),
        ("traget=/a", "a mount has no `traget`"),
        ("target", "`target` of a mount has no value"),
        ("from=$X", "variables are not expanded in `from`"),
        ("mode=0700", "a mount of type `bind` has no `mode`"),
        (
            "type=bind,required",
            "a mount of type `bind` has no `required`",
        ),
        (
            "type=secret,id=a,from=b",
            "a mount of type `secret` has no `from`",
        ),
        ("type=secret", "a secret has neither `id` nor `target`"),
        (
            "type=secret,id=a,source=b",
            "a mount has both `id` and `source`",
        ),
        ("type=ssh,size=1", "a mount of type `ssh` has no `size`"),
        (
            "type=tmpfs,sharing=shared",
            "a mount of type `tmpfs` has no `sharing`",
        ),
        ("type=cache,sharing=x", "`sharing` can't be `x`"),
        ("ro=maybe", "`ro` can't be `maybe`"),
        ("type=cache,mode=9", "`9` is no number"),
        ("type=cache,uid=-1", "`-1` is no number"),
        ("type=cache,uid=4294967296", "`4294967296` is no number"),
        ("type=tmpfs,size=1x", "`1x` is no size"),
        ("type=tmpfs,size=99999999999p", "`99999999999p` is no size"),
        ("type=tmpfs,size=", "`` is no size"),
        ("\"target=/a", "a quoted option of the mount has no end"),
        ("target=\"/a\"", "an option of the mount has a quote inside"),
        ("target=${X", "a `${` is never closed"),
    ] {
        assert_eq!(read(raw).unwrap_err().message, message, "{raw}");
    }
}

#[test]
fn hints_show_what_was_meant() {
    for (raw, hint) in [
        ("type=bnd,target=/a", "did you mean `bind`?"),
        ("traget=/a", "did you mean `target`?"),
    ] {
        let problem = read(raw).unwrap_err();
        assert_eq!(problem.hint.as_deref(), Some(hint), "{raw}");
    }
}
