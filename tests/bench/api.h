/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * api.h - what the files of the benchmark "api" share
 *
 * Room: tests/bench.
 */
#ifndef BENCH_API_H
#define BENCH_API_H

#include "http.h"

/** api_rate() - closed loop for so long.  Return: requests a second; @latency may be NULL */
double api_rate(const struct load *load, double seconds, struct series *latency);
/** api_route() - the POST of the @n-th Route of another node */
void api_route(unsigned n, char *path, size_t path_size, char *body, size_t size);
/** api_big() - lists and watches of 10,000 pods, gets and puts, beside etcd and SQLite */
void api_big(const struct bench *b);

#endif
