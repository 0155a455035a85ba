/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RSA_BITS      2048
#define SIGNATURE_MAX 1024 /* an RSA key of 8192 bits */

static EVP_PKEY *load_key(const char *file)
{
    FILE *stream = fopen(file, "re");
    EVP_PKEY *key;

    if (!stream) {
        perror(file);
        return NULL;
    }
    key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    (void)fclose(stream);
    if (key && (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bits(key) < RSA_BITS ||
                EVP_PKEY_get_size(key) > SIGNATURE_MAX)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    if (!key)
        fprintf(stderr, "%s: no RSA private key of %d to %d bits in PEM\n", file, RSA_BITS,
                SIGNATURE_MAX * 8);
    return key;
}

/* A number of the public key as base64url, and its SHA-256 if asked for. */
static char *parameter(const EVP_PKEY *key, const char *name, unsigned char *ret_digest)
{
    BIGNUM *number = NULL;
    unsigned char bytes[SIGNATURE_MAX];
    int len;

    if (EVP_PKEY_get_bn_param(key, name, &number) != 1)
        return NULL;
    len = BN_bn2bin(number, bytes); /* load_key has bounded it */
    BN_free(number);
    if (ret_digest)
        dev_digest(bytes, (size_t)len, ret_digest);
    return dev_base64url(bytes, (size_t)len);
}

static bool describe(struct dev_keys *keys)
{
    unsigned char digest[DEV_DIGEST_LEN];
    char *n = parameter(keys->key, OSSL_PKEY_PARAM_RSA_N, digest);
    char *e = parameter(keys->key, OSSL_PKEY_PARAM_RSA_E, NULL);
    json_t *jwks = NULL;
    char header[80];

    if (n && e) {
        for (unsigned i = 0; i < 8; i++)
            (void)snprintf(keys->kid + 2 * (size_t)i, 3, "%02x", digest[i]);
        jwks = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty", "RSA", "use", "sig",
                         "alg", "RS256", "kid", keys->kid, "n", n, "e", e);
        (void)snprintf(header, sizeof(header), "{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
                       keys->kid);
        keys->header = dev_base64url(header, strlen(header));
        keys->jwks = jwks ? json_dumps(jwks, JSON_COMPACT) : NULL;
    }
    json_decref(jwks);
    free(n);
    free(e);
    return keys->header && keys->jwks;
}

bool dev_keys_init(struct dev_keys *keys, const char *file)
{
    *keys = (struct dev_keys){0};
    keys->key = file ? load_key(file) : EVP_RSA_gen(RSA_BITS);
    if (keys->key && describe(keys))
        return true;
    if (!file)
        fprintf(stderr, "no RSA key can be made\n");
    dev_keys_done(keys);
    return false;
}

void dev_keys_done(struct dev_keys *keys)
{
    EVP_PKEY_free(keys->key);
    free(keys->header);
    free(keys->jwks);
    *keys = (struct dev_keys){0};
}

/* "header.payload", to be freed. */
static char *signing_input(const struct dev_keys *keys, const json_t *claims)
{
    char *json = claims ? json_dumps(claims, JSON_COMPACT) : NULL;
    char *payload = json ? dev_base64url(json, strlen(json)) : NULL;
    size_t room = payload ? strlen(keys->header) + strlen(payload) + 2 : 0;
    char *input = payload ? malloc(room) : NULL;

    if (input)
        (void)snprintf(input, room, "%s.%s", keys->header, payload);
    free(json);
    free(payload);
    return input;
}

static char *signature_of(const struct dev_keys *keys, const char *input)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char *text = NULL;

    if (context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, keys->key) == 1 &&
        EVP_DigestSign(context, signature, &len, (const unsigned char *)input, strlen(input)) == 1)
        text = dev_base64url(signature, len);
    EVP_MD_CTX_free(context);
    return text;
}

char *dev_keys_sign(const struct dev_keys *keys, const json_t *claims)
{
    char *input = signing_input(keys, claims);
    char *signature = input ? signature_of(keys, input) : NULL;
    size_t room = signature ? strlen(input) + strlen(signature) + 2 : 0;
    char *jwt = signature ? malloc(room) : NULL;

    if (jwt)
        (void)snprintf(jwt, room, "%s.%s", input, signature);
    free(input);
    free(signature);
    return jwt;
}

static bool signature_is_ours(const struct dev_keys *keys, const char *jwt, const char *last_dot)
{
    unsigned char signature[SIGNATURE_MAX];
    ptrdiff_t len =
        dev_base64url_decode(last_dot + 1, strlen(last_dot + 1), signature, sizeof(signature));
    EVP_MD_CTX *context = len > 0 ? EVP_MD_CTX_new() : NULL;
    bool ours = context &&
                EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, keys->key) == 1 &&
                EVP_DigestVerify(context, signature, (size_t)len, (const unsigned char *)jwt,
                                 (size_t)(last_dot - jwt)) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return ours;
}

json_t *dev_keys_verify(const struct dev_keys *keys, const char *jwt)
{
    size_t header_len = strlen(keys->header);
    const char *payload = jwt + header_len + 1;
    const char *last_dot = strrchr(jwt, '.');
    json_t *claims = NULL;
    unsigned char *json;
    ptrdiff_t len;

    /* Ours has our very header: no algorithm is taken from the token. */
    if (strncmp(jwt, keys->header, header_len) != 0 || jwt[header_len] != '.' ||
        last_dot < payload || !signature_is_ours(keys, jwt, last_dot))
        return NULL;
    json = malloc((size_t)(last_dot - payload) + 1);
    if (!json)
        return NULL;
    len = dev_base64url_decode(payload, (size_t)(last_dot - payload), json,
                               (size_t)(last_dot - payload));
    if (len > 0) /* we have signed it, so it is as shallow as we make them */
        claims = json_loadb((const char *)json, (size_t)len, 0, NULL);
    free(json);
    return claims;
}
