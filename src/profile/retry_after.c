/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/retry_after.h"

#include "base/bounds.h"

#include <string.h>

/* A cursor over the text; every function below moves it only when it succeeds. */
struct cursor {
    const char *at;
};

static bool skip(struct cursor *cursor, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(cursor->at, text, len) != 0)
        return false;
    cursor->at += len;
    return true;
}

static bool number(struct cursor *cursor, int digits, int *ret_number)
{
    int value = 0;

    for (int i = 0; i < digits; i++) {
        char c = cursor->at[i];

        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    cursor->at += digits;
    *ret_number = value;
    return true;
}

static bool one_of(struct cursor *cursor, const char *const *names, int count, int *ret_index)
{
    for (int i = 0; i < count; i++) {
        if (skip(cursor, names[i])) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
static const char *const long_days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};

struct date {
    int year;
    int month; /* 0 to 11 */
    int day;
    int hour;
    int minute;
    int second;
};

static bool month(struct cursor *cursor, struct date *date)
{
    return one_of(cursor, months, 12, &date->month);
}

static bool clock_time(struct cursor *cursor, struct date *date)
{
    return number(cursor, 2, &date->hour) && skip(cursor, ":") &&
           number(cursor, 2, &date->minute) && skip(cursor, ":") &&
           number(cursor, 2, &date->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool fixdate(struct cursor cursor, struct date *date)
{
    int day;

    return one_of(&cursor, days, 7, &day) && skip(&cursor, ", ") &&
           number(&cursor, 2, &date->day) && skip(&cursor, " ") && month(&cursor, date) &&
           skip(&cursor, " ") && number(&cursor, 4, &date->year) && skip(&cursor, " ") &&
           clock_time(&cursor, date) && skip(&cursor, " GMT") && *cursor.at == '\0';
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool rfc850(struct cursor cursor, struct date *date)
{
    int day;
    bool good = one_of(&cursor, long_days, 7, &day) && skip(&cursor, ", ") &&
                number(&cursor, 2, &date->day) && skip(&cursor, "-") && month(&cursor, date) &&
                skip(&cursor, "-") && number(&cursor, 2, &date->year) && skip(&cursor, " ") &&
                clock_time(&cursor, date) && skip(&cursor, " GMT") && *cursor.at == '\0';

    if (good)
        date->year += date->year < 70 ? 2000 : 1900;
    return good;
}

/* Sun Nov  6 08:49:37 1994 */
static bool asctime_date(struct cursor cursor, struct date *date)
{
    int day;

    if (!one_of(&cursor, days, 7, &day) || !skip(&cursor, " ") || !month(&cursor, date) ||
        !skip(&cursor, " "))
        return false;
    if (!number(&cursor, 2, &date->day) && !(skip(&cursor, " ") && number(&cursor, 1, &date->day)))
        return false;
    return skip(&cursor, " ") && clock_time(&cursor, date) && skip(&cursor, " ") &&
           number(&cursor, 4, &date->year) && *cursor.at == '\0';
}

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool exists(const struct date *date)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int length = lengths[date->month] + (date->month == 1 && leap(date->year));

    return date->year >= 1970 && date->day >= 1 && date->day <= length && date->hour <= 23 &&
           date->minute <= 59 && date->second <= 60;
}

/* Days since 1970-01-01, counted without the C library, whose functions know time zones. */
static int64_t days_since_1970(const struct date *date)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t y = date->year - 1;
    int64_t leaps = y / 4 - y / 100 + y / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);

    return INT64_C(365) * (date->year - 1970) + leaps + before[date->month] +
           (date->month > 1 && leap(date->year)) + date->day - 1;
}

bool fsh_profile_http_date(const char *text, struct fsh_wall *ret_at)
{
    struct cursor cursor = {text};
    struct date date = {0};
    int64_t seconds;

    if (!fixdate(cursor, &date) && !rfc850(cursor, &date) && !asctime_date(cursor, &date))
        return false;
    if (!exists(&date))
        return false;
    seconds = days_since_1970(&date) * 86400 + INT64_C(3600) * date.hour +
              INT64_C(60) * date.minute + date.second;
    ret_at->ms = seconds * 1000;
    return true;
}

static int64_t bounded(int64_t ms)
{
    if (ms < 0)
        return 0;
    return ms < FSH_RETRY_AFTER_MS ? ms : FSH_RETRY_AFTER_MS;
}

static bool all_digits(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

int64_t fsh_profile_retry_after(const char *text, const char *date, struct fsh_wall now)
{
    struct fsh_wall at;
    int64_t seconds = 0;

    if (!text)
        return -1;
    text += strspn(text, " \t");
    if (all_digits(text)) {
        /* Stops where the bound is passed, however many digits follow. */
        for (; *text && seconds < FSH_RETRY_AFTER_MS; text++)
            seconds = seconds * 10 + (*text - '0');
        return bounded(seconds * 1000);
    }
    if (!fsh_profile_http_date(text, &at))
        return -1;
    if (date)
        (void)fsh_profile_http_date(date, &now);
    return bounded(at.ms - now.ms);
}
