/* SPDX-License-Identifier: Apache-2.0 */

/* Calls the platform with a session's headers: call STORE SESSION URL, where STORE is
 * keeper:CONTROL_SOCKET, or sqlite:FILE for a program that keeps its session itself. */
#include <freshet/curl.h>
#include <freshet/freshet.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session_options mine = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;
    struct freshet_error error;
    CURL *easy = curl_easy_init();
    long answer = 0;
    int status;

    if (argc != 4)
        return 64;
    options.secrets = argv[1];
    (void)curl_easy_setopt(easy, CURLOPT_URL, argv[3]);
    status = freshet_open(&options, &freshet, &error);
    if (status == FRESHET_OK)
        status = freshet_session_open(freshet, argv[2], &mine, &session, &error);
    if (status == FRESHET_OK) /* fresh headers, one request, and a 401 told by the way */
        status = freshet_curl_perform(session, easy, NULL, NULL, &error);
    if (status != FRESHET_OK)
        (void)fprintf(stderr, "call: %s\n", error.message);
    else if (curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer) == CURLE_OK && answer >= 300)
        (void)fprintf(stderr, "the platform: %ld\n", answer);
    freshet_close(freshet);
    curl_easy_cleanup(easy);
    return answer >= 300 ? 1 : freshet_status_exit_code(status);
}
