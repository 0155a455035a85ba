/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the platform can be reached, and how far it goes. */

#include "base/bounds.h"
#include "engine/clock.h"
#include "engine/origin.h"
#include "lib/doctor.h"

#include <curl/curl.h>
#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

#define CHECK "platform"

struct visit {
    CURL *easy;
    struct fsh_origin origin;
    bool refused_address;
    char failure[CURL_ERROR_SIZE];
};

/* As in the engine: plain http goes to no address but loopback. */
static int on_connected(void *data, char *remote, char *local, int remote_port, int local_port)
{
    struct visit *visit = data;

    (void)local;
    (void)remote_port;
    (void)local_port;
    visit->refused_address = !visit->origin.secure && !fsh_engine_loopback_address(remote);
    return visit->refused_address ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static bool prepare(struct fsh_doctor *doctor, struct visit *visit)
{
    const struct freshet_options *options = &doctor->options;
    CURL *easy = visit->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, options->url);

    /* HEAD: whatever it answers, it is there. */
    (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)FSH_CONNECT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)FSH_EXCHANGE_MS);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet/" FRESHET_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, visit->failure);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, visit);
    if (code == CURLE_OK)
        code =
            curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, visit->origin.secure ? "https" : "http");
    if (code == CURLE_OK && options->ca_file)
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    if (code == CURLE_OK && fsh_engine_loopback_host(visit->origin.host))
        code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    else if (code == CURLE_OK && options->proxy)
        code = curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy);
    return code == CURLE_OK;
}

/* What to do about a failure of libcurl's. */
static const char *advice(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the name does not resolve; check url, and this machine's DNS";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "the proxy's name does not resolve; check proxy";
    case CURLE_COULDNT_CONNECT:
        return "nobody answers there; check url, the firewall and the proxy";
    case CURLE_OPERATION_TIMEDOUT:
        return "no answer in time; check the firewall and the proxy";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "its certificate is not trusted; name its CA as ca_file, or mend the certificate";
    case CURLE_SSL_CACERT_BADFILE:
        return "ca_file cannot be used; name a readable PEM file";
    case CURLE_SSL_CONNECT_ERROR:
        return "no TLS there; check the port, and the platform's TLS";
    default:
        return "check url, the network and the proxy";
    }
}

static int ms_of(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;

    (void)curl_easy_getinfo(easy, info, &us);
    return (int)(us / 1000);
}

static void unreached(struct fsh_doctor *doctor, const struct visit *visit, CURLcode code)
{
    if (visit->refused_address)
        fsh_doctor_bad(doctor, CHECK, FRESHET_EINSECURE,
                       "%s: plain http, and the name does not lead to loopback; use https",
                       doctor->options.url);
    else
        fsh_doctor_bad(doctor, CHECK,
                       code == CURLE_SSL_CACERT_BADFILE ? FRESHET_ECONFIG : FRESHET_EUNAVAILABLE,
                       "%s after %d ms: %s (%s)", doctor->options.url,
                       ms_of(visit->easy, CURLINFO_TOTAL_TIME_T), advice(code),
                       visit->failure[0] ? visit->failure : curl_easy_strerror(code));
}

static void reached(struct fsh_doctor *doctor, const struct visit *visit)
{
    CURL *easy = visit->easy;
    int name = ms_of(easy, CURLINFO_NAMELOOKUP_TIME_T);
    int connected = ms_of(easy, CURLINFO_CONNECT_TIME_T);
    int secured = ms_of(easy, CURLINFO_APPCONNECT_TIME_T);
    int all = ms_of(easy, CURLINFO_TOTAL_TIME_T);
    char *address = NULL;
    char tls[32] = "";
    long status = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &address);
    if (visit->origin.secure)
        (void)snprintf(tls, sizeof(tls), ", TLS %d ms", secured - connected);
    else
        secured = connected;
    if (status >= 500 || status == 407) {
        fsh_doctor_warn(doctor, CHECK,
                        "%s answers %ld; it, or a proxy before it, is in trouble: try again later",
                        doctor->options.url, status);
        return;
    }
    fsh_doctor_good(doctor, CHECK,
                    "%s answers %ld from %s in %d ms: name %d ms, connection %d ms%s, answer %d ms",
                    doctor->options.url, status, address ? address : "?", all, name,
                    connected - name, tls, all - secured);
}

static void go(struct fsh_doctor *doctor, struct visit *visit)
{
    struct curl_header *date = NULL;
    struct fsh_wall sent = fsh_clock_wall();
    CURLcode code = curl_easy_perform(visit->easy);
    struct fsh_wall came = fsh_clock_wall();

    if (code != CURLE_OK) {
        unreached(doctor, visit, code);
        return;
    }
    reached(doctor, visit);
    if (curl_easy_header(visit->easy, "Date", 0, CURLH_HEADER, -1, &date) == CURLHE_OK)
        fsh_doctor_compare_clocks(doctor, date->value, sent, came);
}

void fsh_doctor_platform(struct fsh_doctor *doctor)
{
    struct visit visit = {0};
    int status = fsh_engine_origin(doctor->options.url, &visit.origin, NULL);

    if (status == FRESHET_ENOMEM)
        fsh_doctor_bad(doctor, CHECK, status, "out of memory for a request");
    /* A URL that cannot be has been told of. */
    if (status != FRESHET_OK)
        return;
    visit.easy = curl_easy_init();
    if (visit.easy && prepare(doctor, &visit))
        go(doctor, &visit);
    else
        fsh_doctor_bad(doctor, CHECK, FRESHET_ENOMEM, "out of memory for a request");
    curl_easy_cleanup(visit.easy);
    fsh_engine_origin_done(&visit.origin);
}
