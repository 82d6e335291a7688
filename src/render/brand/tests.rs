use super::colours::{Rgb, style};
use super::*;

fn policy(brand: Brand) -> String {
    let pages = brand.pages().unwrap();
    let machine = crate::MachineId::parse("m").unwrap();
    let rejection = crate::Rejection::new(crate::RejectionCode::SessionOver, machine, "");
    let request = http::Request::get("/").body(()).unwrap();
    let context = crate::RenderContext::of(&(&request).into());
    let headers = &pages.prepared(&rejection, context).headers;
    let policy = &headers[http::header::CONTENT_SECURITY_POLICY];
    policy.to_str().unwrap().to_owned()
}

fn error(brand: Brand) -> String {
    brand.pages().unwrap_err().to_string()
}

#[test]
fn contrast_is_that_of_wcag() {
    let contrast = |one: [u8; 3], other: [u8; 3]| Rgb(one).contrast(Rgb(other));
    assert_eq!(contrast([0; 3], [255; 3]), 2100);
    assert_eq!(contrast([0x76; 3], [255; 3]), 454);
    assert_eq!(contrast([0x77; 3], [255; 3]), 447);
    assert_eq!(contrast([9, 8, 7], [9, 8, 7]), 100);
}

#[test]
fn colours_that_cannot_be_read_are_refused() {
    let light = |paper: &str, ink: &str, accent: &str| {
        Brand::new("a").light(Colours::new(paper, ink, accent))
    };
    assert_eq!(
        error(light("#fff", "#777", "#000")),
        "the contrast of the light ink on the light paper is 4.47:1, and text needs 4.5:1 \
         (WCAG 2.2, 1.4.3): choose a darker colour"
    );
    assert!(light("#fff", "#767676", "#000").pages().is_ok());
    assert!(error(light("#fff", "#000", "#ffcc00")).contains("the light accent"));
    let dark = Brand::new("a").dark(Colours::new("#111", "#eee", "#334"));
    assert!(error(dark).ends_with("choose a lighter colour"));
    for colour in [
        "", "fff", "#ff", "#ffff", "red", "#ggg", "#+ff", "#fffffff", "#fff;}", "#ﬀ",
    ] {
        assert!(
            error(light(colour, "#000", "#000")).contains("#rrggbb"),
            "{colour}"
        );
    }
}

/// Every pair of text and ground that the page has, for colours all over the cube.
#[test]
fn what_is_made_of_colours_can_be_read() {
    let steps = [0_u8, 0x40, 0x80, 0xc0, 0xff];
    let each = || {
        steps.into_iter().flat_map(move |red| {
            let blue = move |green| steps.into_iter().map(move |blue| Rgb([red, green, blue]));
            steps.into_iter().flat_map(blue)
        })
    };
    let mut fits = 0;
    for paper in each() {
        for accent in each() {
            let ink = if paper.contrast(Rgb([0; 3])) > 458 {
                "#000"
            } else {
                "#fff"
            };
            let colours = Colours::new(paper.to_string(), ink, accent.to_string());
            let Ok(Some(style)) = style(Some(&colours), None) else {
                continue;
            };
            fits += 1;
            let colour = |name: &str| {
                let (_, rest) = style.split_once(&format!("--{name}: #")).unwrap();
                let number = u32::from_str_radix(&rest[..6], 16).unwrap();
                let [_, red, green, blue] = number.to_be_bytes();
                Rgb([red, green, blue])
            };
            for (text, ground, least) in [
                ("ink", "paper", 450),
                ("soft", "paper", 450),
                ("accent", "paper", 450),
                ("on-accent", "accent", 450),
                ("fault", "paper", 300),
            ] {
                let contrast = colour(text).contrast(colour(ground));
                assert!(
                    contrast >= least,
                    "{text} on {ground}: {contrast} in {style}"
                );
            }
        }
    }
    assert!(fits > 1000, "{fits}");
}

#[test]
fn the_policy_allows_the_brand_and_nothing_more() {
    let plain = page::POLICY;
    assert_eq!(
        policy(Brand::new("a").sentence("b").link("c", "https://d/")),
        plain
    );
    let with = |logo| policy(Brand::new("a").logo(logo));
    assert_eq!(
        with(Logo::png(b"\x89PNG")),
        format!("{plain}; img-src data:")
    );
    assert_eq!(
        with(Logo::at("/logo.svg")),
        format!("{plain}; img-src 'self'")
    );
    assert_eq!(
        with(Logo::at("https://cdn.example.com/a/logo.svg?v=1#x")),
        format!("{plain}; img-src https://cdn.example.com/a/logo.svg")
    );
    let colours = Colours::new("#fff", "#000", "#00f");
    let styled = policy(Brand::new("a").light(colours));
    let hash = styled.strip_prefix(plain).unwrap();
    assert!(
        hash.starts_with(" 'sha256-") && hash.ends_with("='"),
        "{hash}"
    );
}

#[test]
fn addresses_that_could_be_more_than_that_are_refused() {
    for address in [
        "",
        "status",
        "javascript:alert(1)",
        "data:text/html,x",
        "//other.example/",
        "https://",
        "https:///x",
        "https://user@host/",
        "https://a b/",
        "https://a/\"x",
        "https://ä/",
        "/a\\b",
        "/a\nb",
    ] {
        error(Brand::new("a").link("b", address));
        error(Brand::new("a").logo(Logo::at(address)));
    }
    for address in [
        "mailto:a@b",
        "https://a/;script-src",
        "https://a/,b",
        "https://*/",
    ] {
        error(Brand::new("a").logo(Logo::at(address)));
    }
    assert!(
        Brand::new("a")
            .link("b", "mailto:a@b.example")
            .pages()
            .is_ok()
    );
    for size in [0, 32 * 1024 + 1] {
        error(Brand::new("a").logo(Logo::svg(&vec![b' '; size])));
    }
}

#[test]
fn texts_of_a_language_come_first_and_all_are_escaped() {
    let brand = Brand::new("<A>")
        .sentence("a & b")
        .sentence_in(Language::German, "\"d\"")
        .link("<i>", "https://s/?a=1&b=2")
        .link_text_in(Language::Japanese, "状況");
    let markup = |brand: &Brand, language| {
        let branding = Branding {
            title: String::new(),
            style: None,
            head: String::new(),
            sentence: brand.sentence.clone(),
            link: brand.link.clone(),
            link_text: brand.link_text.clone(),
        };
        match branding.constant("brand_word", language) {
            Some(Constant::Markup(text)) => text.into_owned(),
            _ => String::new(),
        }
    };
    let anchor = |text| {
        format!("<a href=\"https://s/?a=1&amp;b=2\" target=\"_top\" rel=\"noopener\">{text}</a>")
    };
    let english = markup(&brand, Language::English);
    assert_eq!(english, format!("a &amp; b {}", anchor("&lt;i&gt;")));
    let german = markup(&brand, Language::German);
    assert_eq!(german, format!("&quot;d&quot; {}", anchor("&lt;i&gt;")));
    let japanese = markup(&brand, Language::Japanese);
    assert_eq!(japanese, format!("a &amp; b {}", anchor("状況")));
    assert_eq!(markup(&Brand::new("a"), Language::English), "");
}
