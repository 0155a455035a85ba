/* SPDX-License-Identifier: Apache-2.0 */
#include "mail.h"

#include "keeper/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the source of the keeper's requests --------------------------------------------------- */

static struct mail *mail_of(struct fsh_keeper_request *request)
{
    return fsh_container_of(request, struct mail, request);
}

static const struct mail *read_mail(const struct fsh_keeper_request *request)
{
    return (const struct mail *)(const void *)request; /* the first member */
}

static const char *header(const struct fsh_keeper_request *request, const char *name,
                          bool *ret_several)
{
    const struct mail *mail = read_mail(request);

    if (ret_several)
        *ret_several = false;
    return mail->etag[0] && strcasecmp(name, "If-None-Match") == 0 ? mail->etag : NULL;
}

static const char *argument(const struct fsh_keeper_request *request, const char *name)
{
    const struct mail *mail = read_mail(request);

    for (size_t i = 0; i < mail->argument_count; i++) {
        if (strcmp(mail->arguments[i].name, name) == 0)
            return mail->arguments[i].value;
    }
    return NULL;
}

static void answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    struct mail *mail = mail_of(request);
    struct scenario *scenario = mail->mails->scenario;

    if (mail->answered)
        scenario_problem(scenario, "always: the keeper answered %s twice", mail->path);
    mail->answered = true;
    fsh_page_unref(mail->page);
    mail->page = page;
    scenario_trace(scenario, "the keeper answers %s %s: %u", request->method, request->path,
                   page ? page->http : 0);
    if (page)
        scenario_check_answer(scenario, page->body);
    for (size_t i = 0; page && i < page->field_count; i++)
        scenario_check_answer(scenario, page->fields[i].value);
}

static const struct fsh_request_source source = {
    .header = header,
    .argument = argument,
    .answer = answer,
};

/* ---- sending ------------------------------------------------------------------------------- */

/* The remote engine writes nothing there that would need to be decoded. */
static void take_apart(struct mail *mail, char *query)
{
    char *state = NULL;
    char *pair = strtok_r(query, "&", &state);

    for (; pair; pair = strtok_r(NULL, "&", &state)) {
        char *value = strchr(pair, '=');

        if (!value || mail->argument_count == MAIL_ARGUMENTS)
            abort();
        *value++ = '\0';
        mail->arguments[mail->argument_count].name = pair;
        mail->arguments[mail->argument_count++].value = value;
    }
}

void mail_send(struct mails *mails, struct fsh_request *from, struct fsh_mono now)
{
    const struct fsh_message *message = &from->message;
    struct mail *mail = calloc(1, sizeof(*mail));
    char *query;

    if (!mail || strlen(message->path) >= sizeof(mail->path))
        abort();
    memcpy(mail->path, message->path, strlen(message->path));
    query = strchr(mail->path, '?');
    if (query) {
        *query = '\0';
        take_apart(mail, query + 1);
    }
    if (from->if_generation > 0)
        (void)snprintf(mail->etag, sizeof(mail->etag), "\"%" PRIu64 "\"", from->if_generation);
    mail->from = from;
    mail->mails = mails;
    mail->until = fsh_mono_add(now, from->timeout_ms ? from->timeout_ms : FSH_EXCHANGE_MS);
    mail->request = (struct fsh_keeper_request){
        .keeper = mails->keeper,
        .door = FSH_DOOR_CONTROL,
        .peer = mails->peer,
        .method = message->method,
        .path = mail->path,
        .body = fsh_base_secret_reveal(&message->body),
        .body_len = message->body.len,
        .source = &source,
    };
    from->transport = mail;
    TAILQ_INSERT_TAIL(&mails->list, mail, in_list);
}

/* The connection ends: when the keeper still wanted to answer, it is told. */
static void mail_free(struct mails *mails, struct mail *mail)
{
    if (mail->arrived && !mail->answered && mail->request.gone)
        mail->request.gone(&mail->request);
    TAILQ_REMOVE(&mails->list, mail, in_list);
    fsh_page_unref(mail->page);
    free(mail);
}

void mail_cancel(struct mails *mails, struct fsh_request *from)
{
    mail_free(mails, from->transport);
}

/* ---- to and fro ---------------------------------------------------------------------------- */

bool mails_deliver(struct mails *mails)
{
    struct mail *mail;
    bool any = false;

    TAILQ_FOREACH (mail, &mails->list, in_list) {
        if (mail->arrived)
            continue;
        mail->arrived = true;
        any = true;
        fsh_route(&mail->request);
        if (!mail->answered && !mail->request.gone)
            scenario_problem(mails->scenario, "always: the keeper forgot %s", mail->path);
    }
    return any;
}

static void hand_over(struct mails *mails, struct mail *mail)
{
    struct fsh_page *page = mail->page;
    struct fsh_request *from = mail->from;
    struct fsh_reply reply = {.sent = true, .failure = "no answer of the keeper in time"};

    if (page)
        reply = (struct fsh_reply){
            .complete = true,
            .sent = true,
            .http_status = (int)page->http,
            .body = page->body,
            .body_len = page->len,
        };
    mail->page = NULL;
    mail_free(mails, mail);
    fsh_engine_answered(from, &reply);
    fsh_page_unref(page);
}

bool mails_return(struct mails *mails, struct fsh_mono now)
{
    struct mail *mail;

    TAILQ_FOREACH (mail, &mails->list, in_list) {
        if (mail->answered || mail->until.ms <= now.ms) {
            hand_over(mails, mail);
            return true;
        }
    }
    return false;
}

struct fsh_mono mails_wake_at(const struct mails *mails)
{
    struct fsh_mono at = FSH_NEVER;
    const struct mail *mail;

    TAILQ_FOREACH (mail, &mails->list, in_list)
        at = fsh_mono_min(at, mail->until);
    return at;
}

/* ---- the beginning and the end ------------------------------------------------------------- */

void mails_init(struct mails *mails, struct scenario *scenario, struct fsh_keeper *keeper,
                const struct fsh_peer *peer)
{
    *mails = (struct mails){.scenario = scenario, .keeper = keeper, .peer = peer};
    TAILQ_INIT(&mails->list);
}

void mails_done(struct mails *mails)
{
    if (!TAILQ_EMPTY(&mails->list))
        scenario_problem(mails->scenario, "a client of the keeper forgot what it had asked");
    while (!TAILQ_EMPTY(&mails->list))
        mail_free(mails, TAILQ_FIRST(&mails->list));
}
