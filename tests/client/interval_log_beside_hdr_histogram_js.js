"use strict";
// Reads interval logs with the npm package hdr-histogram-js, which knows nothing of ours.
//   node interval_log_beside_hdr_histogram_js.js PACKAGE read LOG     what it finds, as JSON
//   node interval_log_beside_hdr_histogram_js.js PACKAGE examples     the log of the package's own tests
//   node interval_log_beside_hdr_histogram_js.js PACKAGE distribution LOG TAG   its text of percentiles
const fs = require("fs");
const path = require("path");
const [, , folder, command, file, wanted] = process.argv;
const hdr = require(folder);

function intervals(text) {
  const reader = new hdr.HistogramLogReader(text, 64);
  const found = [];
  for (let next = reader.nextIntervalHistogram(); next !== null; next = reader.nextIntervalHistogram()) {
    found.push(next);
  }
  return found;
}
function sumOf(histograms) {
  const sum = hdr.build({bitBucketSize: 64, lowestDiscernibleValue: 1, highestTrackableValue: 3600e9, numberOfSignificantValueDigits: 3});
  histograms.forEach(histogram => sum.add(histogram));
  return sum;
}

if (command === "read") {
  const byTag = {};
  for (const histogram of intervals(fs.readFileSync(file, "utf8"))) (byTag[histogram.tag] ||= []).push(histogram);
  const told = {};
  for (const [tag, histograms] of Object.entries(byTag)) {
    const sum = sumOf(histograms);
    told[tag] = {
      intervals: histograms.map(({startTimeStampMsec, endTimeStampMsec, totalCount}) => [startTimeStampMsec, endTimeStampMsec, totalCount]),
      count: sum.totalCount, mean: sum.mean,
      percentiles: Object.fromEntries([50, 90, 99, 99.9, 99.99, 100].map(p => [p, sum.getValueAtPercentile(p)])),
    };
  }
  process.stdout.write(JSON.stringify(told));
} else if (command === "distribution") {
  const tagged = intervals(fs.readFileSync(file, "utf8")).filter(histogram => histogram.tag === wanted);
  process.stdout.write(sumOf(tagged).outputPercentileDistribution(5, 1e6));
} else if (command === "examples") {
  const spec = fs.readFileSync(path.join(folder, "dist", "HistogramLogReader.spec.js"), "utf8");
  const lines = spec.match(/^(#\[.*|"StartTimestamp".*|Tag=.*HISTF.*)$/gm);
  process.stdout.write(lines.join("\n") + "\n");
}
