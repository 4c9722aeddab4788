use proptest::prelude::*;

use super::*;
use crate::fuzz;

const VERSIONS: [Version; 2] = [Version::First, Version::Second];

fn address() -> impl Strategy<Value = SocketAddr> {
    any::<SocketAddr>().prop_map(|address| SocketAddr::new(address.ip(), address.port()))
}

/// Something that begins as a header, with whatever somebody may make of it.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let signatures = prop_oneof![
        Just(b"PROXY ".to_vec()),
        Just(b"PROXY TCP4 ".to_vec()),
        Just(b"PROXY TCP6 ".to_vec()),
        Just(b"PROXY UNKNOWN".to_vec()),
        Just(SECOND.to_vec()),
        Just([SECOND, &[0x21, 0x11, 0, 12]].concat()),
        Just([SECOND, &[0x21, 0x21, 0, 36]].concat()),
        Just([SECOND, &[0x21, 0x31, 0, 216]].concat()),
        Just([SECOND, &[0x20]].concat()),
        Just(Vec::new()),
    ];
    let rest = prop_oneof![
        "[0-9a-f:. +\r\n]{0,120}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..300),
    ];
    (signatures, rest).prop_map(|(signature, rest)| [signature, rest].concat())
}

fn lines(wrong: &[&str]) {
    for line in wrong {
        let measured = measure(line.as_bytes());
        let refused = match measured {
            Ok(Extent::Whole(length)) => read(&line.as_bytes()[..length]).is_err(),
            Ok(Extent::Part) => false,
            Err(_) => true,
        };
        assert!(refused, "{line:?}");
    }
}

#[test]
fn what_a_line_says_is_read_as_it_stands_there() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n";
    let read_back = read(line).unwrap().unwrap();
    assert_eq!(read_back.source, "192.0.2.7:40000".parse().unwrap());
    assert_eq!(read_back.destination, "198.51.100.1:443".parse().unwrap());
    let six = read(b"PROXY TCP6 2001:db8:0:0::7 ::1 1 2\r\n").unwrap();
    assert_eq!(
        six.unwrap().source,
        "[2001:db8::7]:1".parse::<SocketAddr>().unwrap()
    );
    for unknown in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ::1 1 2\r\n"] {
        assert_eq!(read(unknown.as_bytes()), Ok(None), "{unknown:?}");
    }
}

#[test]
fn lines_that_no_proxy_writes_are_refused() {
    lines(&[
        "GET / HTTP/1.1\r\n",
        "PROXYxTCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1 02\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
    ]);
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE - 15));
    assert_eq!(measure(long.as_bytes()), Err(Fault::TooLong));
    assert_eq!(measure(&long.as_bytes()[..107]), Err(Fault::TooLong));
    assert_eq!(measure(&long.as_bytes()[..106]), Ok(Extent::Part));
}

#[test]
fn the_second_version_names_internet_addresses_or_nobody() {
    let header = |bytes: &[u8]| [SECOND, bytes].concat();
    let tlvs = [1, 0, 2, b'h', b'2', 4, 0, 1, 0];
    let mut named = header(&[
        0x21,
        0x11,
        0,
        12 + 9,
        192,
        0,
        2,
        7,
        198,
        51,
        100,
        1,
        0,
        80,
        1,
        187,
    ]);
    named.extend(tlvs);
    assert_eq!(measure(&named), Ok(Extent::Whole(named.len())));
    let introduced = read(&named).unwrap().unwrap();
    assert_eq!(introduced.source, "192.0.2.7:80".parse().unwrap());

    // A local connection names nobody, whatever addresses come with it.
    named[12] = 0x20;
    assert_eq!(read(&named), Ok(None));
    let unix = [header(&[0x21, 0x31, 0, 216]), vec![7; 216]].concat();
    assert_eq!(read(&unix), Ok(None));
    for family in [0, 0x41, 0xff] {
        assert_eq!(read(&header(&[0x20, family, 0, 0])), Ok(None));
    }
    assert_eq!(read(&header(&[0x20, 0x11, 0, 2, 1, 2])), Ok(None));

    for wrong in [
        header(&[0x11, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2]),
        header(&[0x22, 0x11, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2]),
        header(&[0x21, 0x41, 0, 0]),
        header(&[0x21, 0x11, 0, 4, 1, 2, 3, 4]),
        header(&[0x21, 0x21, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2]),
    ] {
        assert_eq!(read(&wrong), Err(Fault::Malformed), "{wrong:?}");
    }
    let greedy = header(&[0x21, 0x11, 0xff, 0xff]);
    assert_eq!(measure(&greedy), Err(Fault::TooLong));
}

#[test]
fn whoever_is_not_introduced_is_written_as_such() {
    assert_eq!(write(Version::First, None), b"PROXY UNKNOWN\r\n");
    assert_eq!(
        write(Version::Second, None),
        [SECOND, &[0x20, 0, 0, 0]].concat()
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(source in address(), destination in address()) {
        let client = Introduction { source, destination };
        for version in VERSIONS {
            let header = write(version, Some(client));
            prop_assert_eq!(measure(&header), Ok(Extent::Whole(header.len())));
            prop_assert_eq!(read(&header), Ok(Some(client.in_one_family())));
            prop_assert!(header.len() <= LONGEST_LINE);
        }
    }

    /// Whatever comes after the header stays where it is, and whatever part of it comes first is known to be one.
    #[test]
    fn a_header_is_told_from_what_follows(
        source in address(), destination in address(), follows in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        for version in VERSIONS {
            let header = write(version, Some(Introduction { source, destination }));
            let all = [&header[..], &follows].concat();
            prop_assert_eq!(measure(&all), Ok(Extent::Whole(header.len())));
            for come in 0..header.len() {
                prop_assert_eq!(measure(&all[..come]), Ok(Extent::Part));
            }
        }
    }

    #[test]
    fn whatever_comes_is_bounded_and_harms_nobody(bytes in nearly()) {
        match measure(&bytes) {
            Ok(Extent::Whole(length)) => {
                prop_assert!(length <= bytes.len() && length <= LONGEST);
                let _either = read(&bytes[..length]);
            }
            Ok(Extent::Part) => prop_assert!(bytes.len() < LONGEST),
            Err(_) => {}
        }
        let _either = read(&bytes);
    }
}

/// Whatever somebody makes of a header: it is bounded, it is known from its first bytes on, and what is understood of it is
/// understood the same way once it is written anew.
#[test]
fn a_mutated_header_is_bounded_and_means_one_thing() {
    let words = [
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n",
        "PROXY TCP6 2001:db8::7 ::1 1 2\r\n",
        "PROXY UNKNOWN",
        "\r\n\r\n\0\r\nQUIT\n!\u{11}\0\u{c}",
        "\r\n\r\n\0\r\nQUIT\n!!\0$",
        "\r\n\r\n\0\r\nQUIT\n \0\0\0",
        "\r\n\r\n\0\r\nQUIT\n!1\0\u{7f}",
        " ",
        "\r\n",
        "\0",
        "65536",
        "+",
    ];
    fuzz::drive("introduction", &words, 20_000, |input| {
        let Ok(Extent::Whole(length)) = measure(input) else {
            return;
        };
        assert!(length <= input.len() && length <= LONGEST);
        for come in 0..length {
            assert_eq!(measure(&input[..come]), Ok(Extent::Part), "{input:?}");
        }
        if let Ok(Some(client)) = read(&input[..length]) {
            for version in VERSIONS {
                let again = write(version, Some(client));
                assert_eq!(read(&again), Ok(Some(client.in_one_family())));
            }
        }
    });
}
