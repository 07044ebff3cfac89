//! Blobs on their way: whatever happens to a connection, who reads sees the blob, or an error.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use sealstone_import::{ImportError, source::Source};
use sealstone_store::control::CancelToken;

use crate::{
    kit::{Image, import_it, is_layer, quick, read, source, source_with},
    server::Reply,
};

#[test]
fn a_blob_that_is_cut_anywhere_goes_on_where_it_ended() {
    let image = Image::new(1);
    let size = image.layer.len();
    for cut in [0, 1, 4096, size / 2, size - 1] {
        let (faulty, layer) = (image.clone(), image.layer.clone());
        let server = image.serve(move |request, times| {
            (is_layer(&faulty, request) && times == 0).then(|| {
                Reply::new(200, layer.clone()).header("Content-Length", layer.len().to_string()).cut_at(cut)
            })
        });
        assert!(read(&source(&server), &image.layer_descriptor()).unwrap() == image.layer, "cut at {cut}");
        let ranges: Vec<_> =
            server.requests_of("/blobs/").iter().map(|one| one.header("range").map(str::to_owned)).collect();
        let again = if cut == 0 { None } else { Some(format!("bytes={cut}-")) };
        assert_eq!(ranges, [None, again], "cut at {cut}");
    }
}

#[test]
fn an_import_that_is_cut_again_and_again_decodes_on_as_if_nothing_happened() {
    let image = Image::new(2);
    let (faulty, bytes) = (image.clone(), image.layer.clone());
    // Three breaks in a row, each after some progress; then the rest.
    let server = image.serve(move |request, times| {
        if !is_layer(&faulty, request) || times >= 3 {
            return None;
        }
        let first = request
            .header("range")
            .map_or(0, |range| range["bytes=".len()..range.len() - 1].parse().unwrap());
        let part = &bytes[first..];
        let reply = if first == 0 {
            Reply::new(200, part)
        } else {
            Reply::new(206, part)
                .header("Content-Range", format!("bytes {first}-{}/{}", bytes.len() - 1, bytes.len()))
        };
        Some(reply.header("Content-Length", part.len().to_string()).cut_at(70_000))
    });
    let report = import_it(&source(&server)).unwrap();
    assert_eq!(report.layers.len(), 1);
    assert_eq!(server.requests_of("/blobs/").len(), 1 + 4);
}

#[test]
fn a_server_that_does_not_know_ranges_costs_time_and_nothing_else() {
    let image = Image::new(3);
    let faulty = image.clone();
    let server = image.serve(move |request, times| {
        let whole = Reply::new(200, faulty.layer.clone());
        is_layer(&faulty, request).then(|| match times {
            0 => whole.header("Content-Length", faulty.layer.len().to_string()).cut_at(100_000),
            _ => whole,
        })
    });
    assert!(read(&source(&server), &image.layer_descriptor()).unwrap() == image.layer);
}

#[test]
fn a_server_that_refuses_to_go_on_is_asked_to_begin_again() {
    let image = Image::new(4);
    let faulty = image.clone();
    let server = image.serve(move |request, times| {
        if !is_layer(&faulty, request) {
            return None;
        }
        if request.header("range").is_some() {
            return Some(Reply::new(416, "no").header("Content-Length", faulty.layer.len().to_string()));
        }
        let whole = Reply::new(200, faulty.layer.clone());
        Some(if times == 0 {
            whole.header("Content-Length", faulty.layer.len().to_string()).cut_at(9)
        } else {
            whole
        })
    });
    assert!(read(&source(&server), &image.layer_descriptor()).unwrap() == image.layer);
}

#[test]
fn another_part_than_was_asked_for_is_refused() {
    let image = Image::new(5);
    let size = image.layer.len();
    for range in [
        format!("bytes 0-{}/{size}", size - 1),
        format!("bytes 1001-{}/{size}", size - 1),
        format!("bytes 1000-{}/{size}", size - 2),
        format!("bytes 1000-{}/{}", size - 1, size + 1),
        "bytes */9".to_owned(),
        "nonsense".to_owned(),
    ] {
        let (faulty, range) = (image.clone(), range.clone());
        let server = image.serve(move |request, _| {
            let layer = &faulty.layer;
            is_layer(&faulty, request).then(|| match request.header("range") {
                None => {
                    Reply::new(200, layer.clone()).header("Content-Length", size.to_string()).cut_at(1000)
                }
                Some(_) => Reply::new(206, &layer[1000..]).header("Content-Range", range.clone()),
            })
        });
        let error = read(&source(&server), &image.layer_descriptor()).unwrap_err();
        assert!(matches!(error, ImportError::Malformed { .. }), "{error}");
    }
}

#[test]
fn a_length_that_is_not_the_blobs_is_refused_before_a_byte_is_read() {
    let image = Image::new(6);
    for wrong in [-1, 1, 1 << 40] {
        let faulty = image.clone();
        let server = image.serve(move |request, _| {
            let length = i64::try_from(faulty.layer.len()).unwrap() + wrong;
            is_layer(&faulty, request)
                .then(|| Reply::new(200, faulty.layer.clone()).header("Content-Length", length.to_string()))
        });
        let error = source(&server).open_blob(&image.layer_descriptor()).err().unwrap();
        assert!(matches!(error, ImportError::Size { .. }), "{error}");
        assert_eq!(server.requests_of("/blobs/").len(), 1);
    }
}

#[test]
fn a_body_without_an_end_is_read_one_byte_too_far() {
    let image = Image::new(7);
    let faulty = image.clone();
    let server = image.serve(move |request, _| {
        is_layer(&faulty, request).then(|| Reply::new(200, faulty.layer.clone()).endless())
    });
    let descriptor = image.layer_descriptor();
    let source = source(&server);
    let mut blob = source.open_blob(&descriptor).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut read = 0;
    while read <= descriptor.size() {
        read += blob.read(&mut buffer).unwrap() as u64;
    }
    assert_eq!(read, descriptor.size() + 1);
    assert!(matches!(import_it(&source), Err(ImportError::Size { .. })));
}

#[test]
fn nothing_is_asked_for_at_the_end() {
    let image = Image::new(8);
    let faulty = image.clone();
    // All bytes are there; the connection breaks where the last chunk should come.
    let server = image.serve(move |request, _| {
        is_layer(&faulty, request).then(|| Reply::new(200, faulty.layer.clone()).unfinished())
    });
    assert!(read(&source(&server), &image.layer_descriptor()).unwrap() == image.layer);
    assert_eq!(server.requests_of("/blobs/").len(), 1);
}

#[test]
fn a_drip_is_a_stall_and_too_many_stalls_are_an_error() {
    let image = Image::new(9);
    let faulty = image.clone();
    let server = image.serve(move |request, _| {
        let layer =
            || Reply::new(200, faulty.layer.clone()).header("Content-Length", faulty.layer.len().to_string());
        (is_layer(&faulty, request) && request.header("range").is_none())
            .then(|| layer().drip(Duration::from_millis(5)))
            .or_else(|| is_layer(&faulty, request).then(|| layer().silent()))
    });
    let error = read(&source(&server), &image.layer_descriptor()).unwrap_err();
    // The silent answers are 200 to a range: the first bytes, which are to be dropped, never come.
    assert!(matches!(error, ImportError::Unreachable { .. }), "{error}");
    assert_eq!(server.requests_of("/blobs/").len(), 4);
}

#[test]
fn a_busy_registry_is_asked_again_and_not_before_it_wants() {
    let image = Image::new(10);
    for status in [429, 500, 502, 503, 504, 408] {
        let faulty = image.clone();
        let server = image.serve(move |request, times| {
            (is_layer(&faulty, request) && times < 2).then(|| Reply::new(status, "busy"))
        });
        assert!(read(&source(&server), &image.layer_descriptor()).unwrap() == image.layer, "{status}");
    }
    let faulty = image.clone();
    let server = image.serve(move |request, times| {
        (is_layer(&faulty, request) && times == 0).then(|| Reply::new(429, "busy").header("Retry-After", "1"))
    });
    let start = Instant::now();
    read(&source(&server), &image.layer_descriptor()).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn what_fails_for_good_is_told_after_so_many_attempts() {
    let image = Image::new(11);
    let server =
        image.serve(|_, _| Some(Reply::new(503, r#"{"errors":[{"code":"DOWN","message":"for repair"}]}"#)));
    let error = import_it(&source(&server)).unwrap_err().to_string();
    assert!(error.contains("503") && error.contains("for repair"), "{error}");
    assert_eq!(server.requests().len(), 4);
    let forbidden = image.serve(|_, _| Some(Reply::new(403, "no")));
    assert!(matches!(import_it(&source(&forbidden)), Err(ImportError::Unauthorized { .. })));
    assert_eq!(forbidden.requests().len(), 1);
}

#[test]
fn cancelling_ends_a_wait_for_a_dead_connection() {
    let image = Image::new(12);
    let faulty = image.clone();
    let server = image.serve(move |request, _| {
        is_layer(&faulty, request).then(|| {
            Reply::new(200, faulty.layer.clone())
                .header("Content-Length", faulty.layer.len().to_string())
                .silent()
        })
    });
    let mut settings = quick();
    // Far longer than any test may take.
    settings.timeouts.stall = Duration::from_hours(1);
    let cancel = CancelToken::default();
    settings.cancel = Some(cancel.clone());
    let source = Arc::new(source_with(&server, &settings, None));
    let (reading, descriptor) = (Arc::clone(&source), image.layer_descriptor());
    let reader = thread::spawn(move || read(&*reading, &descriptor));
    while server.requests_of("/blobs/").is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    cancel.cancel();
    assert!(matches!(reader.join().unwrap(), Err(ImportError::Cancelled)));
}

#[test]
fn one_connection_serves_an_image_of_one_layer() {
    let image = Image::new(13);
    let server = image.serve(|_, _| None);
    import_it(&source(&server)).unwrap();
    assert_eq!(server.requests().len(), 3);
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_part_of_a_blob_is_that_part_or_nothing() {
    let image = Image::new(14);
    let server = image.serve(|_, _| None);
    let source = source(&server);
    let mut part = source.open_range(&image.layer_descriptor(), 1000, 500).unwrap().unwrap();
    let mut bytes = vec![0; 600];
    let mut filled = 0;
    loop {
        match part.read(&mut bytes[filled..]).unwrap() {
            0 => break,
            count => filled += count,
        }
    }
    assert_eq!(bytes[..filled], image.layer[1000..1500]);
    assert!(source.open_range(&image.layer_descriptor(), 1000, u64::MAX).is_err());
    let faulty = image.clone();
    let whole = image
        .serve(move |request, _| is_layer(&faulty, request).then(|| Reply::new(200, faulty.layer.clone())));
    assert!(crate::kit::source(&whole).open_range(&image.layer_descriptor(), 1000, 500).unwrap().is_none());
}
