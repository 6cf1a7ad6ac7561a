//! The genesis tables against figures known from elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use mesh30k_ledger::tables;
use mesh30k_ledger::types::Region;

fn region(text: &str) -> Region {
    text.parse().unwrap()
}

#[test]
fn intensities_are_those_of_the_source() {
    let regions = tables::regions().unwrap();
    assert_eq!(regions.intensities_mg_per_kwh.len(), 213);
    for (country, mg) in
        [("FR", 78_540), ("BR", 103_390), ("KE", 109_570), ("US", 410_390), ("IN", 705_750), ("ZA", 729_020)]
    {
        assert_eq!(regions.intensity_mg_per_kwh(region(country)), mg, "{country}");
    }
    assert!((300_000..600_000).contains(&regions.default_intensity_mg_per_kwh));
    assert_eq!(regions.intensity_mg_per_kwh(region("AQ")), regions.default_intensity_mg_per_kwh);
    assert!(regions.sources.iter().all(|source| !source.source.is_empty() && !source.licence.is_empty()));
}

#[test]
fn the_lists_follow_their_rules() {
    let countries = tables::countries().unwrap();
    assert_eq!(countries.len(), 249);
    assert_eq!(countries.iter().filter(|country| country.least_developed).count(), 45);
    assert_eq!(countries.iter().filter(|country| country.g77).count(), 132);
    let regions = tables::regions().unwrap();
    assert!(
        countries.iter().filter(|country| country.least_developed).all(|c| regions.access_list.contains(&c.region))
    );
    for (country, access, vulnerable) in [
        ("BD", true, true),
        ("KE", true, true),
        ("IN", true, false),
        ("NA", true, false),
        ("VE", true, false),
        ("AZ", true, false),
        ("TV", true, true),
        ("DE", false, false),
        ("SG", false, false),
        ("QA", false, false),
        ("RS", false, false),
    ] {
        let found =
            (regions.access_list.contains(&region(country)), regions.vulnerable_list.contains(&region(country)));
        assert_eq!(found, (access, vulnerable), "{country}");
    }
    assert_eq!((regions.access_list.len(), regions.vulnerable_list.len()), (123, 63));
}

#[test]
fn zones_and_cloud_regions_say_much_the_same_as_the_countries() {
    let (zones, clouds) = (tables::zones().unwrap(), tables::cloud_regions().unwrap());
    assert_eq!((zones.len(), clouds.len()), (352, 40));
    assert_eq!(zones["IN-WE"].mg_per_kwh, 662_000);
    assert_eq!(clouds["europe-west9"].year, 2023);
    let regions = tables::regions().unwrap();
    let mut ratios: Vec<u64> = regions
        .intensities_mg_per_kwh
        .iter()
        .filter_map(|(country, mg)| (zones.get(country.as_str())?.mg_per_kwh * 1_000).checked_div(*mg))
        .collect();
    ratios.sort_unstable();
    // Production and consumption, two years apart, two publishers: the middle of a hundred countries must still agree.
    assert!(ratios.len() > 100 && (800..1_250).contains(&ratios[ratios.len() / 2]), "{ratios:?}");
}
