"""The chart of accounts, and what every flow of money and credits books.

A row of the ledger takes its amount from the account it debits and gives it to the one it credits. An account's
balance is its credits less its debits: positive for what we owe or have earned, negative for what we have, are owed or
have spent. Over all accounts of a currency the sum is zero.

    usd (cents)
    stripe                    our balance at Stripe, pending or not                        (asset, negative)
    disputed                  what Stripe took out of it for as long as a dispute is open  (asset, negative)
    stripe_fees               what Stripe charged                                          (cost, negative)
    platform_revenue          the platform's shares, less referrals and escalations        (income)
    credit_sales              what packs brought in, less the list price of the sessions
                              that credits paid for; gifts and discounts make it negative  (income)
    free_sessions             what mechanics were paid for free sessions                   (cost, negative)
    session:ID:held           a card payment until the session's outcome is known          (owed)
    mechanic:ID:payable       earned and not yet sent                                      (owed)
    mechanic:ID:receivable    sent, and to be given back                                   (asset, negative)
    customer:SUB:receivable   credits that were used and whose pack was paid back          (asset, negative)

    credit (units)
    credits_issued            where credits come from: packs and grants                    (negative)
    customer:SUB:credits      what a customer can spend; never below zero, by constraint
    session:ID:credits        what a session costs, until its outcome is known
    credits_spent             where they end

ID is the id of the session, or of an extension of one, which is its intake's, or of the mechanic's row. SUB is the
`sub` of the customer's token, as credits can be bought and granted before the first intake. PART is platform, mechanic
or receivable. The flows, each as kind: debit -> credit (key):

    card payment              charge: stripe -> session:ID:held                            (session:ID:charge)
      Stripe's fee            fee: stripe_fees -> stripe                                   (fee:BALANCE_TRANSACTION)
    pack bought               pack_sale: stripe -> credit_sales, fee as above              (pack:CHECKOUT:sale)
                              credit_issue: credits_issued -> customer:SUB:credits         (pack:CHECKOUT:credits)
    granted by an admin       credit_grant: credits_issued -> customer:SUB:credits         (grant:KEY)
    intake paid with credits  credit_hold: customer:SUB:credits -> session:ID:credits      (session:ID:credit_hold)
    completed, by card        earning: session:ID:held -> mechanic:ID:payable              (session:ID:earning)
                              platform_share: session:ID:held -> platform_revenue          (session:ID:platform_share)
    completed, by credits     credit_spend: session:ID:credits -> credits_spent            (session:ID:credit_spend)
                              earning and platform_share of the plan's price, from credit_sales
    completed, free           fixed_pay: free_sessions -> mechanic:ID:payable              (session:ID:fixed_pay)
    more minutes              all of a session's, of the extension's own id in the session's place: paid by card or by
                              credits, and then as completed if they were used, or else as cancelled
    referral                  referral: platform_revenue -> mechanic:ID:payable            (session:ID:referral)
    approved quote            escalation: platform_revenue -> mechanic:ID:payable          (session:ID:escalation)
    payout sent               transfer: mechanic:ID:payable -> stripe                      (payout:ID:transfer)
      part of it netted       netting: mechanic:ID:payable -> mechanic:ID:receivable, for what the mechanic owes of
                              SESSION                                            (payout:ID:netting:SESSION)
      taken back              reversal: stripe -> mechanic:ID:payable                      (reversal:STRIPE_ID)
      and owed                receivable: mechanic:ID:payable -> mechanic:ID:receivable, up to what is owed of the
                              same session                                                 (reversal:STRIPE_ID:owed)
    cancelled, by credits     credit_return: session:ID:credits -> customer:SUB:credits    (session:ID:credit_return)
    cancelled, by card        refund: session:ID:held -> stripe, when Stripe has it        (refund:STRIPE_ID)
      by hand, once settled   refund: platform_revenue -> stripe for the platform's part, and for the mechanic's
                              mechanic:ID:payable -> stripe where it was not sent or was taken back,
                              else receivable: mechanic:ID:receivable -> stripe            (refund:STRIPE_ID:PART)
      by a contest            the same, as a refund by hand once settled, of each payment
      by hand, before that    as if cancelled; and once the session is settled as one that pays, the same parts go to
                              session:ID:held instead, which was short by them             (refund:STRIPE_ID:PART)
      failed in the end       correction: stripe -> session:ID:held                        (refund:STRIPE_ID:undone)
                              or, once split, to those who bore the parts
                                                                                    (refund:STRIPE_ID:undone:PART)
                              and to mechanic:ID:payable what was netted for it, which is sent as a payout of its own
                                                                                 (refund:STRIPE_ID:undone:netting)
    contested, by credits     contest: credits_spent -> customer:SUB:credits               (contest:ID:credits)
                              and for their part of the price, to credit_sales: platform_revenue,
                              mechanic:ID:payable, mechanic:ID:receivable                  (contest:ID:PART)
    pack paid back            pack_refund: credit_sales -> stripe                          (refund:STRIPE_ID)
                              credit_withdrawal: customer:SUB:credits -> credits_issued, as many as are left
                                                                                           (refund:STRIPE_ID:credits)
                              receivable: customer:SUB:receivable -> credit_sales, for those used
                                                                                           (refund:STRIPE_ID:receivable)
      a session gives back    credit_withdrawal: customer:SUB:credits -> credits_issued, as many as are owed for
      credits used                                                           (refund:STRIPE_ID:repaid:SESSION:credits)
                              receivable: credit_sales -> customer:SUB:receivable     (refund:STRIPE_ID:repaid:SESSION)
      failed in the end       correction: each of these backwards                          (KEY:undone)
    dispute opened            dispute: disputed -> stripe; its fee as above                (dispute:STRIPE_ID)
      won                     dispute_won: stripe -> disputed                              (dispute:STRIPE_ID:won)
      lost                    dispute_lost: session:ID:held -> disputed, where no session was settled as one that pays
                                                                                           (dispute:STRIPE_ID:lost:held)
                              else split like a refund by hand                             (dispute:STRIPE_ID:lost:PART)
                              of a pack: credit_sales -> disputed, and as if paid back     (dispute:STRIPE_ID:lost:sale)
      more is taken, given    each later movement the same, with the sum so far
                                                           (dispute:STRIPE_ID:withdrawn:SUM, dispute:STRIPE_ID:won:SUM)
      won, but not evenly     dispute_lost: platform_revenue -> disputed, or dispute_won: disputed ->
                              platform_revenue, so that nothing remains                (dispute:STRIPE_ID:rest:NUMBER)
    more lost than is held    refund or dispute_lost: platform_revenue -> stripe or disputed for what is above it
                                                              (refund:STRIPE_ID:excess, dispute:STRIPE_ID:lost:excess)
      the facts changed       reversed like one that failed in the end, and booked again with its number in the keys
                                                                    (refund:STRIPE_ID:2..., dispute:STRIPE_ID:lost:2...)
      won after it was lost   correction: as a refund that failed, but from disputed
                                                                                    (dispute:STRIPE_ID:lost:undone...)
    fee that Stripe gave back fee: stripe -> stripe_fees                                   (fee:BALANCE_TRANSACTION)
    receivable given up       correction: platform_revenue -> mechanic:ID:receivable       (correction:OUR_ID)
"""

from enum import StrEnum
from typing import Final, Literal, NewType
from uuid import UUID

Account = NewType("Account", str)
"""The name of an account. Names are made in this module only; account_currency() in the database checks them."""

type Currency = Literal["usd", "credit"]

STRIPE: Final = Account("stripe")
DISPUTED: Final = Account("disputed")
STRIPE_FEES: Final = Account("stripe_fees")
PLATFORM_REVENUE: Final = Account("platform_revenue")
CREDIT_SALES: Final = Account("credit_sales")
FREE_SESSIONS: Final = Account("free_sessions")
CREDITS_ISSUED: Final = Account("credits_issued")
CREDITS_SPENT: Final = Account("credits_spent")


class TransferKind(StrEnum):
    """Which flow a row of the ledger belongs to."""

    CHARGE = "charge"
    FEE = "fee"
    REFUND = "refund"
    PACK_SALE = "pack_sale"
    PACK_REFUND = "pack_refund"
    CREDIT_ISSUE = "credit_issue"
    CREDIT_GRANT = "credit_grant"
    CREDIT_HOLD = "credit_hold"
    CREDIT_SPEND = "credit_spend"
    CREDIT_RETURN = "credit_return"
    CREDIT_WITHDRAWAL = "credit_withdrawal"
    EARNING = "earning"
    PLATFORM_SHARE = "platform_share"
    FIXED_PAY = "fixed_pay"
    REFERRAL = "referral"
    ESCALATION = "escalation"
    TRANSFER = "transfer"
    NETTING = "netting"
    REVERSAL = "reversal"
    CONTEST = "contest"
    DISPUTE = "dispute"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    RECEIVABLE = "receivable"
    CORRECTION = "correction"


def session_held(session_id: UUID) -> Account:
    """Cents of a card payment, until its session has an outcome."""
    return Account(f"session:{session_id}:held")


def session_credits(session_id: UUID) -> Account:
    """Credits that a session costs, until it has an outcome."""
    return Account(f"session:{session_id}:credits")


def customer_credits(user_id: UUID) -> Account:
    """Credits that a customer (the `sub` of their token) can spend."""
    return Account(f"customer:{user_id}:credits")


def customer_receivable(user_id: UUID) -> Account:
    """Cents that a customer (the `sub` of their token) owes us."""
    return Account(f"customer:{user_id}:receivable")


def mechanic_payable(mechanic_id: UUID) -> Account:
    """Cents that a mechanic (row of `mechanics`) has earned and that were not sent yet."""
    return Account(f"mechanic:{mechanic_id}:payable")


def mechanic_receivable(mechanic_id: UUID) -> Account:
    """Cents that a mechanic (row of `mechanics`) was sent and has to give back."""
    return Account(f"mechanic:{mechanic_id}:receivable")
