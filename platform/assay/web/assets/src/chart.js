import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// As everywhere on the page.
const timeZone = "UTC";
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const day = { day: "numeric", month: "short" };
const DAY = 24 * 60 * 60;
const HEIGHT = 220;

/** As coarse as the distance between two marks allows, and never a month in digits. */
function marks(_plot, instants, _axis, _space, step) {
  const parts = step >= 28 * DAY ? { month: "short", year: "numeric" } : step >= DAY ? day : step >= 60 ? clock : { ...clock, second: "2-digit" };
  const format = new Intl.DateTimeFormat(undefined, { ...parts, timeZone });
  return instants.map((instant) => format.format(new Date(instant * 1000)));
}

const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23", timeZone });

function draw(figure) {
  const series = JSON.parse(figure.dataset.series);
  const axis = {
    stroke: ink("--ink-soft"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: ink("--line"), width: 1 },
    ticks: { stroke: ink("--line"), width: 1, size: 4 },
  };
  const low = Number(figure.dataset.min);
  const high = Number(figure.dataset.max);
  return new uPlot(
    {
      width: figure.clientWidth,
      height: HEIGHT,
      // The last mark may stand at the very end, and half of its text beyond it.
      padding: [null, 28, null, null],
      tzDate: (instant) => uPlot.tzDate(new Date(instant * 1000), timeZone),
      cursor: { y: false, points: { size: 8 } },
      legend: { live: true },
      scales: { y: { range: (_plot, from, to) => [Math.min(low, from), Math.max(high, to)] } },
      axes: [{ ...axis, values: marks, space: 72 }, { ...axis, size: 44 }],
      series: [
        { label: "When", value: (_plot, instant) => (instant == null ? "–" : exactly.format(new Date(instant * 1000))) },
        {
          label: "Score",
          value: (_plot, points) => points ?? "–",
          stroke: ink("--gold"),
          fill: ink("--gold-wash"),
          width: 2,
          points: { show: series.at.length < 40, size: 6, fill: ink("--gold") },
          // A score holds until the next change: between two changes there is no slope.
          paths: uPlot.paths.stepped({ align: 1 }),
        },
      ],
    },
    [series.at, series.points],
    figure,
  );
}

function show(figure) {
  let plot = draw(figure);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  new ResizeObserver(() => plot.setSize({ width: figure.clientWidth, height: HEIGHT })).observe(figure);
  dark.addEventListener("change", () => {
    plot.destroy();
    plot = draw(figure);
  });
}

/** Drawings follow their page, which is read meanwhile. */
function showAll() {
  for (const figure of document.querySelectorAll("[data-series]:empty")) show(figure);
}

showAll();
document.addEventListener("htmx:after:swap", showAll);
