// Numbers over time as a line, with the same numbers as a table for those who do not see it.

import {drawing, element} from './elements.js';

const HEIGHT = 220;
const LEFT = 74;
const RIGHT = 20;
const TOP = 14;
const BOTTOM = 30;
const MOST = 200;

// As wide as the screen lets it be, so that its letters are as large as others.
function widthOfChart() {
  return window.matchMedia('(max-width: 46rem)').matches ? 340 : 720;
}

// Points are {time: milliseconds, label, value}, the earliest first; "told" puts a value into words.
export function lineChart(title, measure, points, told) {
  const width = widthOfChart();
  const shown = points.slice(-MOST);
  const times = shown.map(({time}) => time);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const top = ceiling(Math.max(1, ...shown.map(({value}) => value)));
  // Inventories of one moment stand side by side.
  const part = ({time}, index) => (last > first ? (time - first) / (last - first) : (index + 0.5) / shown.length);
  const x = (point, index) => LEFT + part(point, index) * (width - LEFT - RIGHT);
  const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
  const lines = [0, top / 2, top].map((height) => [
    drawing('line', {class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(height), y2: y(height)}),
    drawing('text', {x: LEFT - 10, y: y(height) + 4, 'text-anchor': 'end'}, told(height)),
  ]);
  const dates = [
    [shown[0], LEFT, 'start'],
    [shown[shown.length - 1], width - RIGHT, 'end'],
  ]
    .slice(0, last > first ? 2 : 1)
    .map(([{label}, place, anchor]) => drawing('text', {x: place, y: HEIGHT - 8, 'text-anchor': anchor}, label));
  const path = shown
    .map((point, index) => `${index ? 'L' : 'M'}${x(point, index).toFixed(1)} ${y(point.value).toFixed(1)}`)
    .join('');
  const marks = shown.map((point, index) =>
    drawing(
      'circle',
      {class: 'mark', cx: x(point, index), cy: y(point.value), r: 4},
      drawing('title', {}, `${point.label}: ${told(point.value)}`),
    ),
  );
  return element(
    'div',
    {},
    drawing(
      'svg',
      {class: 'chart', 'aria-hidden': 'true', viewBox: `0 0 ${width} ${HEIGHT}`},
      lines,
      dates,
      drawing('path', {class: 'curve', d: path}),
      marks,
    ),
    element(
      'table',
      {class: 'hidden'},
      element('caption', {}, `${title}: ${measure}`),
      element(
        'thead',
        {},
        element(
          'tr',
          {},
          ['Date', measure].map((name) => element('th', {scope: 'col'}, name)),
        ),
      ),
      element(
        'tbody',
        {},
        shown.map(({label, value}) => element('tr', {}, element('th', {scope: 'row'}, label), element('td', {}, told(value)))),
      ),
    ),
  );
}

// The next 2, 4 or 10 with zeros, so that the half is a round number too.
function ceiling(value) {
  const zeros = 10 ** Math.floor(Math.log10(value));
  return [2, 4, 10].map((digit) => digit * zeros).find((round) => round >= value);
}
