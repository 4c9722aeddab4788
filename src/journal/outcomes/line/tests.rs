use super::*;
use crate::moment::Moment;
use crate::outcome::{Sign, Silence, Trouble};

fn key() -> ComponentKey {
    ComponentKey {
        zone: "fz-1".into(),
        name: "[::1]:80".into(),
    }
}

fn refused() -> Outcome {
    Outcome {
        code: CheckCode::L4Con,
        detail: "connection refused".into(),
        took: Duration::from_micros(123),
        status: None,
    }
}

#[test]
fn an_outcome_is_one_line_field_by_field() {
    let began = Moment::some();
    let record = Record {
        moment: began.after(Duration::from_nanos(1_500_000_001)),
        overdue: Duration::from_nanos(77),
        what: Recorded::Outcome {
            overtaken: 2,
            component: key(),
            outcome: refused(),
            began: None,
            left_out: 3,
        },
    };
    assert_eq!(
        line(&record, began.instant),
        "{\"at\":\"2026-01-15T03:12:08.500000001Z\",\"code\":\"L4CON\",\"component\":\"fz-1:[::1]:80\",\
         \"detail\":\"connection refused\",\"kind\":\"outcome\",\"left_out\":3,\"ms\":0.123,\"overdue\":77,\"overtaken\":2,\
         \"t\":1500000001}\n"
    );
}

#[test]
fn every_kind_of_record_comes_back_from_its_line() {
    let moment = Moment::some();
    let tally = Tally {
        requests: 7,
        failures: 2,
        ..Tally::default()
    };
    let detailed = Tally {
        server_errors: 1,
        trial: TrialTally {
            requests: 3,
            failures: 1,
        },
        ..tally
    };
    let begin = Begin {
        why: Why::Rotation,
        detail: Detail::Changes,
        seed: u64::MAX,
        memory: Memory::default(),
        zones: vec![("fz-1".into(), moment.wall)],
        components: vec![Known {
            key: key(),
            address: "[::1]:80".into(),
            interval: Duration::from_millis(1500),
            timeout: Duration::from_millis(500),
            status: Status::Down,
            since: moment.wall,
            streak: 2,
            joined: true,
            probing: false,
            last: Some(refused()),
        }],
    };
    let promoted = Promoted {
        succeeded: false,
        how: "exit code 3".into(),
        output: String::new(),
        took: Duration::from_millis(1234),
    };
    let component = key();
    let trouble = Sign::Trouble(Trouble::ResponseTimeout);
    let silence = Sign::Silence(Silence {
        lasted: Duration::from_millis(104),
        usual: None,
    });
    let kinds = [
        Recorded::Begin(Box::new(begin)),
        Recorded::Tick { began: vec![key()] },
        Recorded::Tick { began: Vec::new() },
        Recorded::Sign {
            component: component.clone(),
            sign: trouble,
        },
        Recorded::Sign {
            component,
            sign: silence,
        },
        Recorded::Tally(vec![(key(), tally), (key(), detailed)]),
        Recorded::Draining,
        Recorded::Drained,
        Recorded::Promoting,
        Recorded::Promoted(promoted),
        Recorded::End,
    ];
    for what in kinds {
        let overdue = Duration::ZERO;
        let record = Record {
            moment,
            overdue,
            what,
        };
        let text = line(&record, moment.instant);
        let json = serde_json::from_str(&text).unwrap();
        let raw = read(&json, &mut Names::default());
        assert_eq!(raw.map(|raw| raw.what), Some(record.what), "{text}");
    }
}
