#!/usr/bin/env bash
# Makes the data files of the product from the full sets they are samples of; same input, same bytes.
#
#   .tools/replay-data.sh FOLDER     FOLDER holds latency-seattle, latency-planetlab, latency-cities, latency-aws,
#                                    churn-tor, workload-azure-llm, workload-cluster, carbon-hourly-us, carbon-annual-owid,
#                                    carbon-annual-electricitymaps, cloud-regions-gcp and countries
#
# Written: node/core/data/{seattle,planetlab,cities,aws}.csv.gz, testnet/sim/data/{churn,arrivals}.csv.gz,
# ledger/data/{carbon_intensity,countries,cloud_regions}.csv, ledger/odbl/data/zones.csv,
# testnet/data/{carbon_hourly_us,llm_requests,cluster_jobs}.csv.gz. Formats, sources and licences: the README.md beside each.
# A sample is every k-th row in the order of the source, so it leans towards no kind of link.
set -euo pipefail
export LC_ALL=C

seattle_links=480
planetlab_pairs=480
city_pairs=600
churn_nodes=3000
arrivals=2000
job_days=28

[ $# -eq 1 ] || { echo "usage: replay-data.sh FOLDER" >&2; exit 2; }
from=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$root/node/core/data" "$root/ledger/data" "$root/ledger/odbl/data" "$root/testnet/data" "$root/testnet/sim/data"

# Keeps exactly $1 lines of stdin, evenly spread.
every_kth() {
    cat >"$scratch/all"
    awk -v want="$1" -v total="$(wc -l <"$scratch/all")" '
        BEGIN { if (total < want) { print "too few rows: " total " < " want > "/dev/stderr"; exit 1 } }
        int(NR * want / total) > int((NR - 1) * want / total)' "$scratch/all"
}

# header NAME COUNT: series_id,kind,NAME1..NAMEn
header() { awk -v n="$2" -v name="$1" 'BEGIN { printf "series_id,kind"; for (i = 1; i <= n; i++) printf ",%s%d", name, i; print "" }'; }

# Seattle: a link whose series has a zero (shorter than 10 ms or not measured: the source does not say) is left out.
seattle() {
    header sample 172
    gzip -dc "$from/latency-seattle/rtt_ms_slices_001_172.csv.gz" | awk -F, '
        NR > 1 { for (d = 0; d < 99; d++) { k = $2 * 99 + d; v = $(d + 3); if (v + 0 == 0) bad[k] = 1; series[k] = series[k] "," v } }
        END { for (k = 0; k < 99 * 99; k++) { s = int(k / 99); d = k % 99
            if (s != d && !(k in bad)) print "seattle-" s "-" d ",rtt_ms" series[k] } }' | every_kth "$seattle_links"
}

# PlanetLab: line i of a slice (from 0) holds the pairs (i, i+1), (i, i+2), ...; the six slices are the six samples.
planetlab() {
    header sample 6
    for slice in 01 02 03 04 05 06; do
        gzip -dc "$from/latency-planetlab/rtt_ms_slice_$slice.upper.csv.gz" |
            awk -F, '{ for (j = 1; j <= NF; j++) print "planetlab-" (NR - 1) "-" (NR - 1 + j) "," $j }' >"$scratch/slice$slice"
    done
    paste -d, "$scratch"/slice0[1-6] |
        awk -F, '{ print $1 ",rtt_ms," $2 "," $4 "," $6 "," $8 "," $10 "," $12 }' | every_kth "$planetlab_pairs"
}

cities() {
    echo "series_id,kind,avg_ms,min_ms,max_ms,mdev_ms"
    gzip -dc "$from/latency-cities/pairs.csv.gz" |
        awk -F, 'NR > 1 && $1 != $2 { gsub(/ /, "_"); print "cities-" $1 ">" $2 ",rtt_ms_stats," $4 "," $5 "," $6 "," $7 }' |
        every_kth "$city_pairs"
}

# Distances between regions and within them, all of them: the set is small.
aws() {
    echo "series_id,kind,p50_ms,p90_ms"
    awk -F, 'NR > 1 { print "aws-" $1 ">" $2 ",rtt_ms_quantiles," $3 "," $4 }' "$from/latency-aws/regions.csv"
}

# Sessions of every k-th node of the trace, whole.
churn() {
    gzip -dc "$from/churn-tor/sessions_2019-11.csv.gz" | awk -F, 'NR > 1 { print $1 }' | sort -un | every_kth "$churn_nodes" >"$scratch/nodes"
    echo "node,up_from_h,up_to_h"
    gzip -dc "$from/churn-tor/sessions_2019-11.csv.gz" | awk -F, 'NR == FNR { keep[$1] = 1; next } FNR > 1 && ($1 in keep)' "$scratch/nodes" -
}

# The first requests as distances between them, with the size of the answer.
arrival_gaps() {
    echo "gap_ms,generated_tokens"
    gzip -dc "$from/workload-azure-llm/conv_first70pct.csv.gz" |
        awk -F, -v want="$arrivals" 'NR > 2 && NR <= want + 2 { printf "%.1f,%d\n", $1 - last, $3 } NR > 1 { last = $1 }'
}

# Batch jobs of two clusters, whole, that arrive in the first days.
cluster_jobs() {
    echo "trace,arrival_s,length_s,cpus"
    for trace in azure_vm alibaba_pai; do
        gzip -dc "$from/workload-cluster/${trace}_h1.csv.gz" |
            awk -F, -v trace="$trace" -v until=$((job_days * 86400)) 'NR > 1 && $1 < until { print trace "," $1 "," $2 "," $3 }'
    done
}

# The latest year of each country; grams become integer milligrams.
carbon_intensity() {
    echo "country,mg_co2e_per_kwh,year"
    awk -F, '
        NR == FNR { if (FNR > 1) iso2[$2] = $1; next }
        FNR > 1 { code = $(NF - 2); if (code in iso2 && $(NF - 1) + 0 > year[code]) { year[code] = $(NF - 1) + 0; value[code] = $NF } }
        END { for (code in year) printf "%s,%d,%d\n", iso2[code], value[code] * 1000 + 0.5, year[code] }' \
        "$from/countries/countries.csv" "$from/carbon-annual-owid/carbon_intensity_2000_2022.csv" | sort
}

# Facts the access and the vulnerable list follow from; names may hold quoted commas, so columns are counted from the end.
countries() {
    echo "country,independent,ldc,sids,developing,income,g77,vulnerability_ppm"
    awk -F, 'NR > 1 { at = NF - 26
        printf "%s,%d,%d,%d,%d,%s,%d,%s\n", $1, $(at + 8) == "Yes", $(at + 9), $(at + 11), $(at + 12) == "Developing",
            $(at + 13), $(at + 14), $(at + 16) == "" ? "" : int($(at + 16) * 1000000 + 0.5) }' "$from/countries/countries.csv" | sort
}

# The latest year of each region; shares become parts per million, blank where the provider gives none.
cloud_regions() {
    echo "region,grid_mg_co2e_per_kwh,carbon_free_ppm,year"
    awk -F, 'NR > 1 && $1 >= year[$2] { year[$2] = $1; grid[$2] = $NF; free[$2] = $(NF - 1) }
        END { for (region in year) printf "%s,%d,%s,%d\n", region, grid[region] * 1000,
            free[region] == "" ? "" : int(free[region] * 1000000 + 0.5), year[region] }' \
        "$from/cloud-regions-gcp/regions_2019_2023.csv" | sort
}

# The latest year of each zone, parts of countries included.
zones() {
    echo "zone,mg_co2e_per_kwh,renewable_ppm,carbon_free_ppm,year"
    awk -F, 'NR > 1 && $(NF - 3) >= year[$1] { year[$1] = $(NF - 3); mg[$1] = $(NF - 2) * 1000; green[$1] = $(NF - 1); free[$1] = $NF }
        END { for (zone in year) printf "%s,%d,%d,%d,%d\n", zone, mg[zone], green[zone] * 10000 + 0.5, free[zone] * 10000 + 0.5, year[zone] }' \
        "$from/carbon-annual-electricitymaps/zones_2021_2023.csv" | sort
}

seattle | gzip -9n >"$root/node/core/data/seattle.csv.gz"
planetlab | gzip -9n >"$root/node/core/data/planetlab.csv.gz"
cities | gzip -9n >"$root/node/core/data/cities.csv.gz"
aws | gzip -9n >"$root/node/core/data/aws.csv.gz"
churn | gzip -9n >"$root/testnet/sim/data/churn.csv.gz"
arrival_gaps | gzip -9n >"$root/testnet/sim/data/arrivals.csv.gz"
carbon_intensity >"$root/ledger/data/carbon_intensity.csv"
countries >"$root/ledger/data/countries.csv"
cloud_regions >"$root/ledger/data/cloud_regions.csv"
zones >"$root/ledger/odbl/data/zones.csv"
cluster_jobs | gzip -9n >"$root/testnet/data/cluster_jobs.csv.gz"
install -m 644 "$from/workload-azure-llm/conv_first70pct.csv.gz" "$root/testnet/data/llm_requests.csv.gz"
install -m 644 "$from/carbon-hourly-us/hourly_2022_jan_aug_6ba.csv.gz" "$root/testnet/data/carbon_hourly_us.csv.gz"
ls -l "$root"/node/core/data/*.gz "$root"/testnet/sim/data/*.gz "$root"/ledger/data/*.csv "$root"/ledger/odbl/data/*.csv \
    "$root"/testnet/data/*.gz
