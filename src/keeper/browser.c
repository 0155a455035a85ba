/* SPDX-License-Identifier: Apache-2.0 */

/* What the browser API's answers and questions have in common, and its routes. */

#include "keeper/browser.h"

#include "base/error.h"
#include "keeper/csrf.h"
#include "keeper/log.h"

#include <sodium.h>
#include <stdarg.h>

/* When nobody knows better. */
#define LATER_MS 1000

const struct fsh_route fsh_browser_routes[] = {
    {FSH_DOOR_BROWSER, "POST", "/freshet/sign-in", fsh_browser_sign_in},
    {FSH_DOOR_BROWSER, "POST", "/freshet/mfa", fsh_browser_mfa},
    {FSH_DOOR_BROWSER, "POST", "/freshet/new-password", fsh_browser_new_password},
    {FSH_DOOR_BROWSER, "POST", "/freshet/sign-out", fsh_browser_sign_out},
    {FSH_DOOR_BROWSER, "POST", "/freshet/sign-out-everywhere", fsh_browser_sign_out_everywhere},
    {FSH_DOOR_BROWSER, "GET", "/freshet/session", fsh_browser_self},
    {FSH_DOOR_BROWSER, "PUT", "/freshet/partner", fsh_browser_choose_partner},
    {FSH_DOOR_BROWSER, "GET", "/freshet/sessions", fsh_browser_list},
    {FSH_DOOR_BROWSER, "DELETE", "/freshet/sessions/:id", fsh_browser_end_one},
    {0},
};

struct fsh_page *fsh_browser_problem(int status, const struct freshet_error *error)
{
    struct freshet_error later;

    if ((freshet_status_class(status) != FRESHET_CLASS_RETRY &&
         freshet_status_http(status) != 503) ||
        (error && error->retry_after_ms > 0))
        return fsh_page_problem(status, error);
    if (error)
        later = *error;
    else
        (void)fsh_base_fail(&later, status, NULL);
    later.retry_after_ms = LATER_MS;
    return fsh_page_problem(status, &later);
}

struct fsh_page *fsh_browser_set_cookie(const struct fsh_browsers *browsers, struct fsh_page *page,
                                        const struct fsh_cookie *cookie)
{
    char line[FSH_COOKIE_LINE];

    fsh_cookie_line(&browsers->kind, cookie, line);
    page = fsh_page_header(page, "Set-Cookie", line);
    sodium_memzero(line, sizeof(line));
    return page;
}

bool fsh_browser_changes(struct fsh_keeper_request *request)
{
    const struct fsh_browsers *browsers = request->keeper->browsers;

    if (!browsers || browsers->origin[0] == '\0')
        fsh_request_answer(request, fsh_page_http(404, "no [browser] is configured"));
    else if (!fsh_csrf_changes(request, browsers->origin))
        fsh_request_answer(request,
                           fsh_page_http(403, "a request that changes something needs the header "
                                              "X-Freshet-CSRF and the configured Origin"));
    else
        return true;
    return false;
}

json_t *fsh_browser_body(struct fsh_keeper_request *request, const char *format, ...)
{
    json_error_t why;
    json_t *body = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, &why);
    va_list arguments;
    int bad = -1;

    va_start(arguments, format);
    if (body)
        bad = json_vunpack_ex(body, &why, JSON_STRICT, format, arguments);
    va_end(arguments);
    if (bad == 0)
        return body;
    json_decref(body);
    /* What jansson says may quote the body. */
    fsh_request_answer(request, fsh_page_fail(FRESHET_EINVAL, "the body is not the JSON object "
                                                              "that this path takes"));
    return NULL;
}

void fsh_browser_audit(const char *event, const unsigned char hash[FSH_COOKIE_HASH],
                       const char *account, const struct fsh_client *client, const char *why)
{
    char id[FSH_COOKIE_SHORT] = "";

    if (hash)
        fsh_cookie_short(hash, id);
    fsh_log(FSH_LOG_INFO, event, "session", hash ? id : NULL, "account", account, "address",
            client && client->address[0] ? client->address : NULL, "why", why, NULL);
}
