import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

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
      height: 220,
      cursor: { y: false, points: { size: 8 } },
      legend: { live: true },
      scales: { y: { range: (_plot, from, to) => [Math.min(low, from), Math.max(high, to)] } },
      axes: [axis, { ...axis, size: 44 }],
      series: [
        { label: "When", value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        {
          label: "Score",
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

for (const figure of document.querySelectorAll("[data-series]")) {
  let plot = draw(figure);
  new ResizeObserver(() => plot.setSize({ width: figure.clientWidth, height: 220 })).observe(figure);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    plot.destroy();
    plot = draw(figure);
  });
}
