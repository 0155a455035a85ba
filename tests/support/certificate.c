/* SPDX-License-Identifier: Apache-2.0 */
#include "certificate.h"

#include "unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509V3_CTX context;
    X509_EXTENSION *names;

    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_set_version(cert, X509_VERSION_3);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    (void)X509_set_pubkey(cert, key);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                     (const unsigned char *)"freshet test", -1, -1, 0);
    (void)X509_set_issuer_name(cert, name);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    names = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, "IP:127.0.0.1");
    (void)X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

void certificate_make(struct certificate *certificate)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = self_signed(key);
    FILE *file;

    (void)snprintf(certificate->folder, sizeof(certificate->folder),
                   P_tmpdir "/freshet-tls-XXXXXX");
    assert_non_null(mkdtemp(certificate->folder));
    (void)snprintf(certificate->cert, sizeof(certificate->cert), "%s/cert", certificate->folder);
    (void)snprintf(certificate->key, sizeof(certificate->key), "%s/key", certificate->folder);
    file = fopen(certificate->cert, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    (void)fclose(file);
    file = fopen(certificate->key, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void certificate_remove(const struct certificate *certificate)
{
    (void)unlink(certificate->cert);
    (void)unlink(certificate->key);
    (void)rmdir(certificate->folder);
}
