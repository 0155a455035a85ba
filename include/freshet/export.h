/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_EXPORT_H
#define FRESHET_EXPORT_H

/** Marks what libfreshet.so exports; everything else is hidden. */
#if defined(__GNUC__)
#define FRESHET_EXPORT __attribute__((visibility("default")))
#else
#define FRESHET_EXPORT
#endif

#endif
