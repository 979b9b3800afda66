// One transaction as a card that is brought up to date in place, so that nobody loses the button that they are at.

import {ask} from './dialog.js';
import {button, element, link, problem, say} from './elements.js';
import {post} from './server.js';
import {counted, duration, level, moment, number, percent, scopeInWords, sourceInWords} from './words.js';

export const UNFINISHED = ['Pending', 'Running', 'Paused'];
const KINDS = {Pending: '', Running: 'accent', Paused: 'warn', Success: 'good', Failure: 'bad'};
const WORDS = {Pending: 'Waiting', Running: 'Running', Paused: 'Paused', Success: 'Done', Failure: 'Failed'};

// "changed" is called with what the server answers to a button.
export class TransactionCard {
  constructor(transaction, changed) {
    this.changed = changed;
    this.state = '';
    this.badge = element('span', {class: 'badge'});
    this.bar = element('progress', {max: 100, 'aria-label': 'Progress'});
    this.facts = element('p', {class: 'facts'});
    this.actions = element('div', {class: 'actions'});
    this.notes = element('div', {class: 'cards'});
    this.node = element(
      'article',
      {class: 'card', 'data-transaction': transaction.ID},
      element(
        'div',
        {class: 'title'},
        element('h3', {}, link(titleOf(transaction), `#/transactions/${transaction.ID}`)),
        this.badge,
      ),
      element(
        'p',
        {class: 'facts'},
        element(
          'span',
          {},
          `Asked for ${moment(transaction.CreationTime)}${transaction.Requestor ? ` by ${transaction.Requestor}` : ''}`,
        ),
        transaction.Verification ? null : element('span', {}, scopeInWords(transaction.Scope)),
        transaction.Source ? element('span', {}, sourceInWords(transaction.Source)) : null,
        transaction.Base ? element('span', {}, 'Increment') : null,
      ),
      this.bar,
      this.facts,
      this.actions,
      this.notes,
    );
    this.update(transaction);
  }

  update(transaction) {
    this.transaction = transaction;
    const {State, Progress} = transaction;
    const canceled = transaction.TransactionStatus === 'CANCELED';
    this.badge.textContent = canceled ? 'Cancelled' : WORDS[State];
    this.badge.className = `badge ${canceled ? 'warn' : KINDS[State]}`;
    this.bar.hidden = !UNFINISHED.includes(State);
    this.bar.value = Progress;
    this.bar.textContent = `${Progress} %`;
    this.facts.replaceChildren(...factsOf(transaction).map((fact) => element('span', {}, fact)));
    if (State !== this.state) {
      if (this.state) {
        say(`${titleOf(transaction)}: ${this.badge.textContent}`);
      }
      this.state = State;
      this.showActions();
    }
    this.showNotes();
  }

  showActions() {
    const had = this.actions.contains(document.activeElement);
    const {ID, State, SOPInstanceUID} = this.transaction;
    const paths = `/inventories/transactions/${ID}`;
    this.actions.replaceChildren(
      ...[
        ['Pending', 'Running'].includes(State) && button('Pause', () => this.change(`${paths}/pause`)),
        State === 'Paused' && button('Resume', () => this.change(`${paths}/resume`)),
        UNFINISHED.includes(State) && button('Cancel …', () => this.cancel(`${paths}/cancel`), 'danger'),
        SOPInstanceUID &&
          !UNFINISHED.includes(State) &&
          link('Open the inventory', `#/inventories/${SOPInstanceUID}`, {class: 'button primary'}),
        this.transaction.Verification &&
          link('Findings', `#/inventories/${this.transaction.Verification.SOPInstanceUID}/verify`, {class: 'button'}),
      ].filter(Boolean),
    );
    if (had) {
      this.actions.firstElementChild?.focus();
    }
  }

  async change(path, body) {
    try {
      const changed = await post(path, body);
      this.update(changed);
      this.changed(changed);
    } catch (error) {
      this.notes.prepend(problem(error));
    }
  }

  async cancel(path) {
    if (this.transaction.Verification) {
      await this.change(path, {});
      return;
    }
    const answer = await ask(
      'Cancel this run?',
      'What is finished so far can be kept as an inventory, which then says of itself that it is PARTIAL.',
      [
        {label: 'Cancel and keep what is finished', value: 'keep', kind: 'primary'},
        {label: 'Cancel and discard', value: 'discard', kind: 'danger'},
        {label: 'Let it go on', value: null},
      ],
    );
    if (answer) {
      await this.change(path, {RetainInstances: answer === 'keep'});
    }
  }

  showNotes() {
    const {Skipped = [], ErrorCode, ErrorDescription, TransactionStatus, TransactionStatusComment: comment} = this.transaction;
    const told = JSON.stringify([Skipped.length, ErrorCode, comment, TransactionStatus]);
    if (told === this.told) {
      return;
    }
    this.told = told;
    this.notes.replaceChildren(
      ...[
        ErrorCode && TransactionStatus === 'FAILURE' && element('p', {class: 'problem'}, comment || ErrorDescription),
        !ErrorCode && comment && element('p', {class: 'facts'}, comment),
        Skipped.length > 0 && skippedList(Skipped),
      ].filter(Boolean),
    );
    this.notes.hidden = !this.notes.hasChildNodes();
  }
}

// What was left out of an inventory, and why; at most 200 of it.
export function skippedList(skipped) {
  return element(
    'details',
    {},
    element('summary', {}, `${counted(skipped.length, 'resource')} skipped, and why`),
    skipped.length > 200 && element('p', {}, `The first 200 of ${number(skipped.length)}:`),
    element(
      'ul',
      {},
      skipped
        .slice(0, 200)
        .map(({ID, Level, Reason}) =>
          element(
            'li',
            {},
            `${Level.charAt(0)}${Level.slice(1).toLowerCase()} `,
            element('span', {class: 'uid'}, ID),
            ` – ${Reason}`,
          ),
        ),
    ),
  );
}

function titleOf(transaction) {
  if (transaction.Verification) {
    return `Verification (${transaction.Verification.Check})`;
  }
  return (
    transaction.Purpose || `${{STUDY: 'Studies', SERIES: 'Series', INSTANCE: 'Instances'}[transaction.Level]} of the archive`
  );
}

function factsOf(transaction) {
  const {State, EffectiveRuntime: runtime, Remaining} = transaction;
  const unfinished = UNFINISHED.includes(State);
  if (State === 'Pending') {
    return ['It begins when the runs before it are done.'];
  }
  const done = transaction.Verification ? verified(transaction.Verification) : recorded(transaction);
  const speed = transaction.Verification ? transaction.Verification.Checked : transaction[level(transaction.Level)];
  return [
    unfinished && `${transaction.Progress} %`,
    ...done,
    runtime > 0 && speed > 0 && `${number(Math.round(speed / runtime))} per second`,
    unfinished && Remaining !== null && Remaining !== undefined && `about ${duration(Remaining)} left`,
    !unfinished && runtime > 0 && `took ${duration(runtime)}`,
    !unfinished && transaction.CompletionTime && `ended ${moment(transaction.CompletionTime)}`,
  ].filter(Boolean);
}

function recorded({Level, Studies, Series, Instances, TotalStudies, State}) {
  const of = UNFINISHED.includes(State) && TotalStudies ? ` of at most ${number(TotalStudies)}` : '';
  return [
    `${number(Studies)}${of} studies`,
    Level !== 'STUDY' && `${number(Series)} series`,
    Level === 'INSTANCE' && counted(Instances, 'instance'),
  ];
}

function verified({Checked, Missing, Damaged, Different, Extra, Unchecked, Coverage}) {
  return [
    `${number(Checked)} checked`,
    `${number(Missing)} missing`,
    `${number(Damaged)} damaged`,
    `${number(Different)} different`,
    // It is unknown where the scope is one that Orthanc cannot match.
    typeof Extra === 'number' && `${number(Extra)} extra`,
    Unchecked > 0 && `${number(Unchecked)} could not be checked`,
    typeof Coverage === 'number' && `${percent(Coverage)} found`,
  ];
}
