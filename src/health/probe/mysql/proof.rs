//! What a client shows instead of its password, for each login plugin of MySQL and MariaDB that is known here. Pure.
//!
//! Source: MySQL's internals manual, "Authentication Methods", and MariaDB's `plugin/auth_ed25519/ref10/sign.c`. The hashes and
//! RSA are aws-lc's, the curve is curve25519-dalek's.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use curve25519_dalek::{EdwardsPoint, Scalar};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

/// `mysql_native_password`: `SHA1(password) XOR SHA1(challenge, SHA1(SHA1(password)))`. No password, no proof.
pub(super) fn native(password: &str, challenge: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[password.as_bytes()]);
    let twice = hash(&SHA1_FOR_LEGACY_USE_ONLY, &[&once]);
    xor(once, &hash(&SHA1_FOR_LEGACY_USE_ONLY, &[challenge, &twice]))
}

/// `caching_sha2_password`, its fast path: `SHA256(password) XOR SHA256(SHA256(SHA256(password)), challenge)`.
pub(super) fn caching_sha2(password: &str, challenge: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = hash(&SHA256, &[password.as_bytes()]);
    let twice = hash(&SHA256, &[&once]);
    xor(once, &hash(&SHA256, &[&twice, challenge]))
}

/// The password itself, for the eyes of whoever has the private half of `key` (in PEM form) alone. `None`: that is no RSA key,
/// or one that is too short for this password.
pub(super) fn sealed(password: &str, challenge: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mask = challenge.iter().cycle();
    let masked = cleartext(password).into_iter().zip(mask);
    let masked: Vec<u8> = masked.map(|(byte, mask)| byte ^ mask).collect();
    let key = SubjectPublicKeyInfoDer::from_pem_slice(key).ok()?;
    let key = PublicEncryptingKey::from_der(&key).ok()?;
    let key = OaepPublicEncryptingKey::new(key).ok()?;
    let mut sealed = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA1_MGF1SHA1, &masked, &mut sealed, None)
        .ok()?;
    Some(sealed)
}

/// The password itself, for connections that nobody else can read.
pub(super) fn cleartext(password: &str) -> Vec<u8> {
    [password.as_bytes(), &[0]].concat()
}

/// `client_ed25519`: the challenge, signed as in RFC 8032 (5.1.6) by the key that the password is the seed of. A seed of that
/// standard has 32 bytes, a password of MariaDB's any number, so no library signs with it as it is.
pub(super) fn ed25519(password: &str, challenge: &[u8]) -> Vec<u8> {
    let (clamped, prefix) = expand(password.as_bytes());
    let secret = Scalar::from_bytes_mod_order(clamped);
    let public = EdwardsPoint::mul_base(&secret).compress();
    let nonce = scalar(&[&prefix, challenge]);
    let commitment = EdwardsPoint::mul_base(&nonce).compress();
    let weight = scalar(&[commitment.as_bytes(), public.as_bytes(), challenge]);
    let response = nonce + weight * secret;
    [commitment.to_bytes(), response.to_bytes()].concat()
}

/// Both halves of the seed's hash: the secret scalar with its bits in place, and what nonces are made of.
fn expand(seed: &[u8]) -> ([u8; 32], [u8; 32]) {
    let hash = hash(&SHA512, &[seed]);
    let (mut secret, mut prefix) = ([0; 32], [0; 32]);
    secret.copy_from_slice(&hash[..32]);
    prefix.copy_from_slice(&hash[32..]);
    secret[0] &= 0b1111_1000;
    secret[31] &= 0b0111_1111;
    secret[31] |= 0b0100_0000;
    (secret, prefix)
}

fn scalar(parts: &[&[u8]]) -> Scalar {
    let mut wide = [0; 64];
    wide.copy_from_slice(&hash(&SHA512, parts));
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn hash(algorithm: &'static Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

fn xor(mut one: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for (byte, other) in one.iter_mut().zip(other) {
        *byte ^= other;
    }
    one
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

    use super::*;

    /// The vectors of go-sql-driver/mysql, auth_test.go.
    #[test]
    fn proofs_are_those_of_other_drivers() {
        let challenge = [
            70, 114, 92, 94, 1, 38, 11, 116, 63, 114, 23, 101, 126, 103, 26, 95, 81, 17, 24, 21,
        ];
        let proof = [
            53, 177, 140, 159, 251, 189, 127, 53, 109, 252, 172, 50, 211, 192, 240, 164, 26, 48,
            207, 45,
        ];
        assert_eq!(native("secret", &challenge), proof);

        let challenge = [
            10, 47, 74, 111, 75, 73, 34, 48, 88, 76, 114, 74, 37, 13, 3, 80, 82, 2, 23, 21,
        ];
        for (password, proof) in [
            (
                "secret",
                "f490e76f66d9d86665ce54d98c78d0acfe2fb0b08b423da807144873d30b312c",
            ),
            (
                "secret2",
                "abc3934a012cf342e876071c8ee202de51785b430258a7a0138bc79c4d800bc6",
            ),
        ] {
            assert_eq!(hex(&caching_sha2(password, &challenge)), proof);
        }

        let proof = [
            232, 61, 201, 63, 67, 63, 51, 53, 86, 73, 238, 35, 170, 117, 146, 214, 26, 17, 35, 9,
            8, 132, 245, 141, 48, 99, 66, 58, 36, 228, 48, 84, 115, 254, 187, 168, 88, 162, 249,
            57, 35, 85, 79, 238, 167, 106, 68, 117, 56, 135, 171, 47, 20, 14, 133, 79, 15, 229,
            124, 160, 176, 100, 138, 14,
        ];
        assert_eq!(ed25519("foobar", &[b'A'; 32]), proof);
    }

    /// With a password as long as a seed of RFC 8032, MariaDB's signature is that standard's.
    #[test]
    fn signatures_are_those_of_rfc_8032() {
        let password = "correct horse battery staple, 32";
        let challenge = *b"\x00\x01 some challenge of the server's";
        let pair = Ed25519KeyPair::from_seed_unchecked(password.as_bytes()).unwrap();
        let signature = ed25519(password, &challenge);
        assert_eq!(signature, pair.sign(&challenge).as_ref());
        let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        public.verify(&challenge, &signature).unwrap();
    }

    #[test]
    fn without_a_password_there_is_nothing_to_prove() {
        assert!(native("", &[1; 20]).is_empty());
        assert!(caching_sha2("", &[1; 20]).is_empty());
    }

    #[test]
    fn what_is_sealed_only_the_owner_of_the_key_can_read() {
        let challenge = [7; 20];
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let pem = pair.public_key_pem();
        let password = "a password that is longer than the challenge";
        let hidden = sealed(password, &challenge, pem.as_bytes()).unwrap();

        let key = PrivateDecryptingKey::from_pkcs8(&pair.serialize_der()).unwrap();
        let key = OaepPrivateDecryptingKey::new(key).unwrap();
        let mut opened = vec![0; key.min_output_size()];
        let opened = key
            .decrypt(&OAEP_SHA1_MGF1SHA1, &hidden, &mut opened, None)
            .unwrap();
        let opened: Vec<u8> = opened.iter().map(|byte| byte ^ 7).collect();
        assert_eq!(opened, cleartext(password));

        let too_long = "x".repeat(300);
        assert_eq!(sealed(&too_long, &challenge, pem.as_bytes()), None);
        assert_eq!(sealed("x", &challenge, b"no key at all"), None);
        let nonsense = pem.replace("MII", "AAA");
        assert_eq!(sealed("x", &challenge, nonsense.as_bytes()), None);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
